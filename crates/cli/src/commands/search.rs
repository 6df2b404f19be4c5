// SPDX-License-Identifier: Apache-2.0
//! `l3af search`, `l3af resolve` and `l3af rate`: finding packages in a hub, and the release that somebody needs, and saying how good
//! they are.

use std::collections::BTreeMap;

use wire::hub::{FacetValue, Facets, Found, FoundPackage, OwnRating, Rating, Wanted};

use super::hub::{client, package, wait};
use crate::arguments::hub::{Rate, Resolve, Search};
use crate::failure::Outcome;
use crate::output;

pub(crate) fn search(arguments: &Search) -> Outcome {
    let hub = client(&arguments.hub.hub, &arguments.hub.logins)?;
    if arguments.facets {
        let facets = wait(hub.facets(&wanted(arguments)))?;
        if arguments.json {
            return output::json(&facets);
        }
        tell(&facets);
        return Ok(());
    }
    let found = wait(hub.search(&wanted(arguments)))?;
    if arguments.json {
        return output::json(&found);
    }
    let Found { packages, next, corrected } = found;
    tell_corrected(&corrected);
    output::data(&output::table(
        &["package", "version", "shelf", "hooks", "pulls", "stars", "price", "description"],
        packages.iter().map(row).collect(),
    ));
    if let Some(next) = next {
        output::note(&format!("there are more: `--after {next}`"));
    }
    Ok(())
}

fn wanted(arguments: &Search) -> Wanted {
    Wanted {
        q: arguments.words.join(" "),
        category: arguments.category.clone(),
        subcategory: arguments.subcategory.clone(),
        hook: arguments.hook.clone(),
        program_type: arguments.program_type.clone(),
        platform: arguments.platform.as_ref().map(ToString::to_string),
        kernel: arguments.kernel.map(|kernel| kernel.to_string()),
        license: arguments.license.clone(),
        publisher: arguments.publisher.clone(),
        signed_by: arguments.signed_by.clone(),
        tag: arguments.tag.clone(),
        price: arguments.price,
        rating: arguments.rating,
        limit: Some(arguments.limit),
        after: arguments.after.clone(),
    }
}

fn row(package: &FoundPackage) -> Vec<String> {
    vec![
        format!("{}/{}", package.publisher, package.name),
        package.version.clone(),
        package.shelf.clone(),
        package.hooks.join(","),
        package.pulls.to_string(),
        package.rating.map(stars).unwrap_or_default(),
        package.price.as_ref().map(ToString::to_string).unwrap_or_default(),
        package.description.clone(),
    ]
}

fn tell_corrected(corrected: &BTreeMap<String, Vec<String>>) {
    for (typed, taken) in corrected {
        output::note(&format!("no package has `{typed}`; looked for {}", taken.join(", ")));
    }
}

/// What people think of a package: the mean, and how many they are.
fn stars(rating: Rating) -> String {
    format!("{:.2} ({})", rating.stars, rating.people)
}

fn tell(facets: &Facets) {
    tell_corrected(&facets.corrected);
    let rows = facets.facets.iter().flat_map(|facet| {
        let row =
            |value: &FacetValue| vec![facet.name.clone(), value.name.clone(), value.packages.to_string()];
        facet.values.iter().map(row)
    });
    output::data(&output::table(&["facet", "value", "packages"], rows.collect()));
    if !facets.whole {
        output::note(&format!("more are found: the best {} are counted", facets.packages));
    }
}

pub(crate) fn rate(arguments: &Rate) -> Outcome {
    let repository = package(&arguments.package)?;
    let hub = client(repository.host(), &arguments.logins)?;
    match arguments.stars {
        Some(own) => {
            let rating = wait(hub.rate(repository, OwnRating { stars: own }))?;
            output::note(&format!("it has {} now", stars(rating)));
            Ok(())
        }
        None => wait(hub.unrate(repository)),
    }
}

pub(crate) fn resolve(arguments: &Resolve) -> Outcome {
    let repository = &arguments.package.repository;
    let hub = client(repository.host(), &arguments.logins)?;
    let asked = [
        ("range", arguments.range.clone()),
        ("channel", Some(arguments.channel.to_string())),
        ("kernel", arguments.kernel.map(|kernel| kernel.to_string())),
        ("platform", arguments.platform.as_ref().map(ToString::to_string)),
    ];
    let asked: Vec<(&str, String)> =
        asked.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    let resolved = wait(hub.resolve(repository, &asked))?;
    if arguments.json {
        return output::json(&resolved);
    }
    for advisory in &resolved.advisories {
        output::note(&format!("{}: {}", advisory.severity.as_str(), advisory.title));
    }
    if let Some(there) = &resolved.moved_to {
        output::note(&format!("the package became `{there}`: new versions are there"));
    }
    // How the hub is reached is known better here than there.
    output::data(&format!(
        "oci://{}/{}:{}@{}",
        repository.host(),
        repository.path(),
        resolved.version.to_string().replace('+', "_"),
        resolved.digest
    ));
    Ok(())
}
