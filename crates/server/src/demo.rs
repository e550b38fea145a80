//! `roster serve --demo`: a merchant, a key, and requests to paste, for a first try without documentation.

use std::net::SocketAddr;

use roster_application::{ApiKeyOrder, ApiKeySecret, Operation, PageSize, Roster, Scopes};
use roster_console::{Console, LONGEST_SESSION};
use roster_domain::{Environment, MerchantId, MerchantName, Name, Tenant, Timestamp};

/// What the demo can offer.
pub struct Demo {
    access: Access,
    /// The console, and a key to sign in with.
    console: Option<(Console, ApiKeySecret)>,
}

enum Access {
    /// A demo merchant was made, with this key.
    Made(ApiKeySecret),
    /// There were merchants already; this is the oldest.
    MadeBefore(MerchantId),
    /// Nothing was made, as other machines can connect and the demo is for this machine only.
    NotLoopback,
}

/// The name of the merchant of the demo.
const MERCHANT: &str = "Demo";

impl Demo {
    /// Makes a merchant with a sandbox key, if there is no merchant and only this machine can connect; and a key to sign in to the
    /// console with, if the merchant is that of the demo.
    ///
    /// # Errors
    /// If the store fails.
    pub fn prepare(roster: &Roster, bind: SocketAddr, console: Option<Console>) -> anyhow::Result<Self> {
        let oldest = roster.list_merchants(None, PageSize::DEFAULT)?.items.into_iter().next();
        if !bind.ip().is_loopback() {
            let access = oldest.map_or(Access::NotLoopback, |merchant| Access::MadeBefore(merchant.id));
            return Ok(Self { access, console: None });
        }
        let (access, merchant) = match oldest {
            Some(merchant) if merchant.name.as_str() == MERCHANT => (Access::MadeBefore(merchant.id), merchant.id),
            Some(merchant) => return Ok(Self { access: Access::MadeBefore(merchant.id), console: None }),
            None => {
                let merchant = roster.create_merchant(MerchantName::parse(MERCHANT)?, &Operation::COMMAND_LINE)?.id;
                (Access::Made(create_key(roster, merchant, "demo", Scopes::DEFAULT, None)?), merchant)
            }
        };
        let sign_in = |console| {
            // As long as a session may last.
            let end = roster.now().plus(LONGEST_SESSION);
            anyhow::Ok((console, create_key(roster, merchant, "console", Scopes::ALL, Some(end))?))
        };
        Ok(Self { access, console: console.map(sign_in).transpose()? })
    }

    /// The text to print once the service listens at `base`, a URL without a path.
    pub fn greeting(&self, base: &str) -> String {
        let surfaces = format!(
            "
Roster is listening.

  native  {base}/v1
  Lumen   {base}/api
  Lava    {base}/lava/v1
"
        );
        surfaces + &self.console(base) + &self.credentials(base)
    }

    /// The link is made when it is printed: it is valid for ten minutes.
    fn console(&self, base: &str) -> String {
        let Some((console, key)) = &self.console else { return String::new() };
        let link = console.link(key.reveal());
        format!(
            "
The console, in a browser. This link signs in once, within ten minutes:

  {base}{link}
"
        )
    }

    fn credentials(&self, base: &str) -> String {
        match &self.access {
            Access::Made(secret) => made(base, secret.reveal()),
            Access::MadeBefore(merchant) => format!(
                "
There are merchants already; the demo's key was shown on the first start. Another one:

  {program} keys create --merchant {merchant} --environment sandbox

",
                program = program()
            ),
            Access::NotLoopback => format!(
                "
No demo merchant was made, as other machines can connect. A merchant and a key:

  {program} merchants create NAME
  {program} keys create --merchant ID --environment sandbox

",
                program = program()
            ),
        }
    }
}

fn create_key(
    roster: &Roster,
    merchant: MerchantId,
    name: &str,
    scopes: Scopes,
    expires_at: Option<Timestamp>,
) -> anyhow::Result<ApiKeySecret> {
    let tenant = Tenant { merchant, environment: Environment::Sandbox };
    let order = ApiKeyOrder { tenant, name: Some(Name::parse(name)?), scopes, expires_at };
    Ok(roster.create_api_key(order, &Operation::COMMAND_LINE)?.secret)
}

/// The key, and one request for each surface, from that surface's documentation.
///
/// The three requests make three different customers.
fn made(base: &str, key: &str) -> String {
    let request = |path: &str, body: &str| {
        format!(
            "curl -X POST {base}{path} \\
  -H 'Authorization: Bearer {key}' \\
  -H 'Content-Type: application/json' \\
  -d '{body}'
"
        )
    };
    let native = request(
        "/v1/customers",
        r#"{"email": "alice@example.com", "name": "Alice Johnson", "external_id": "usr_12345", "metadata": {"plan": "pro"}}"#,
    );
    let lumen = request(
        "/api/customers",
        r#"{"email": "customer@example.com", "name": "John Doe", "userId": "user_123", "billingCountry": "US"}"#,
    );
    let lava = request(
        "/lava/v1/customers",
        r#"{"reference_id": "usr_abc123", "name": "Jane Smith", "email": "jane@example.com", "phone": "+14155552671"}"#,
    );
    format!(
        "
A merchant \"Demo\" was made. Its sandbox key, shown this once:

  {key}

Try each surface:

{native}
{lumen}
{lava}
Ctrl-C stops the service.

"
    )
}

/// The program name as it was called, for commands to paste.
fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "roster".to_owned())
}
