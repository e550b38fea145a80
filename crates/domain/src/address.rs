//! Billing addresses.

use crate::{Country, Edit, text::text};

text!(
    /// An address line, a city or a state, at most 256 characters.
    AddressPart, 0..=256
);
text!(
    /// A postal code, at most 32 characters.
    PostalCode, 0..=32
);

/// A billing address; every part is optional. Without any part it counts as no address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Address {
    /// Street and number.
    pub line1: Option<AddressPart>,
    /// Flat, suite, building.
    pub line2: Option<AddressPart>,
    /// City or town.
    pub city: Option<AddressPart>,
    /// State, province or region.
    pub state: Option<AddressPart>,
    /// Postal code.
    pub postal_code: Option<PostalCode>,
    /// Country.
    pub country: Option<Country>,
}

impl Address {
    /// Whether it has no part.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// An edit of each part of an address.
#[derive(Debug, Clone, Default)]
pub struct AddressEdit {
    /// Street and number.
    pub line1: Edit<AddressPart>,
    /// Flat, suite, building.
    pub line2: Edit<AddressPart>,
    /// City or town.
    pub city: Edit<AddressPart>,
    /// State, province or region.
    pub state: Edit<AddressPart>,
    /// Postal code.
    pub postal_code: Edit<PostalCode>,
    /// Country.
    pub country: Edit<Country>,
}

impl AddressEdit {
    /// Clears every part.
    #[must_use]
    pub fn clear() -> Self {
        Self {
            line1: Edit::Clear,
            line2: Edit::Clear,
            city: Edit::Clear,
            state: Edit::Clear,
            postal_code: Edit::Clear,
            country: Edit::Clear,
        }
    }

    /// Applies this edit to `address`.
    pub fn apply(self, address: &mut Address) {
        self.line1.apply(&mut address.line1);
        self.line2.apply(&mut address.line2);
        self.city.apply(&mut address.city);
        self.state.apply(&mut address.state);
        self.postal_code.apply(&mut address.postal_code);
        self.country.apply(&mut address.country);
    }
}
