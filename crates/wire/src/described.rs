// SPDX-License-Identifier: Apache-2.0
//! What the description of an API says of errors: that they are problem details, which have a media type of their own.

use utoipa::Modify;
use utoipa::openapi::{OpenApi, RefOr, Response, Schema};

/// Has every answer that is a problem be `application/problem+json` (RFC 9457, section 3).
pub struct Problems;

impl Modify for Problems {
    fn modify(&self, description: &mut OpenApi) {
        let items = description.paths.paths.values_mut();
        let operations = items.flat_map(|item| {
            [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete]
                .into_iter()
                .flatten()
        });
        let answers = operations.flat_map(|operation| operation.responses.responses.values_mut());
        answers.for_each(|answer| {
            if let RefOr::T(answer) = answer {
                name_media_type(answer);
            }
        });
    }
}

fn name_media_type(answer: &mut Response) {
    let is_problem = |schema: &RefOr<Schema>| match schema {
        RefOr::Ref(place) => place.ref_location.ends_with("/Problem"),
        RefOr::T(_) => false,
    };
    let described = match answer.content.get("application/json") {
        Some(RefOr::T(content)) => content.schema.as_ref(),
        Some(RefOr::Ref(_)) | None => None,
    };
    if described.is_some_and(is_problem)
        && let Some(content) = answer.content.shift_remove("application/json")
    {
        answer.content.insert("application/problem+json".to_owned(), content);
    }
}
