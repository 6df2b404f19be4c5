// SPDX-License-Identifier: Apache-2.0
//! Why there are no bindings of a package.

use package::{InterfaceError, ObjectError};
use thiserror::Error;

/// Objects do not say what bindings are made of.
#[derive(Debug, Error)]
pub enum Undescribed {
    /// They do not have what the manifest says of their maps.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// One cannot be read.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// They are for machines of different byte orders.
    #[error("the objects of the package are of two byte orders")]
    TwoOrders,
}

impl Undescribed {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::TwoOrders => Some("generate bindings from each object by itself: `l3af gen OBJECT`"),
            Self::Interface(_) | Self::Object(_) => None,
        }
    }
}
