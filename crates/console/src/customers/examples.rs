//! The request that shows a customer, as a command, for each of the three APIs.

use crate::session::{Area, Environment};
use crate::visit::Place;

/// The API's name, and the command.
pub(super) fn commands(place: &Place, id: &str) -> Vec<(&'static str, String)> {
    let origin = origin(place);
    // The part behind the prefix is the same on every surface.
    let digits = id.strip_prefix("cus_").unwrap_or(id);
    let lava = match place.area {
        Area::Merchant(Environment::Sandbox) => "con_test_",
        Area::Merchant(Environment::Live) | Area::Operators => "con_live_",
    };
    let command = |path: String| format!("curl {origin}{path} \\\n  -H \"Authorization: Bearer $KEY\"");
    vec![
        ("Native", command(format!("/v1/customers/{id}"))),
        ("Lumen", command(format!("/api/customers/cust_{digits}"))),
        ("Lava", command(format!("/lava/v1/customers/{lava}{}", digits.to_uppercase()))),
    ]
}

/// The scheme and the host as the visitor reaches them.
pub(crate) fn origin(place: &Place) -> String {
    let connection = place.request.connection_info();
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    // The command is pasted into a shell.
    let host = Some(connection.host()).filter(|host| !host.is_empty() && host.bytes().all(is_host));
    let scheme = if connection.scheme() == "https" || place.worker.console.0.secure { "https" } else { "http" };
    format!("{scheme}://{}", host.unwrap_or("localhost"))
}
