//! `roster serve --demo`: a merchant, a key, and requests to paste, for a first try without documentation.

use std::net::SocketAddr;

use roster_application::{ApiKeyOrder, ApiKeySecret, Operation, PageSize, Roster, Scopes};
use roster_domain::{Environment, MerchantId, MerchantName, Name, Tenant};

/// What the demo can offer.
pub enum Demo {
    /// A demo merchant was made, with this key.
    Made(ApiKeySecret),
    /// There were merchants already; this is the oldest.
    MadeBefore(MerchantId),
    /// Nothing was made, as other machines can connect and the demo is for this machine only.
    NotLoopback,
}

impl Demo {
    /// Makes a merchant with a sandbox key, if there is no merchant and only this machine can connect.
    ///
    /// # Errors
    /// If the store fails.
    pub fn prepare(roster: &Roster, bind: SocketAddr) -> anyhow::Result<Self> {
        if let Some(merchant) = roster.list_merchants(None, PageSize::DEFAULT)?.items.first() {
            return Ok(Self::MadeBefore(merchant.id));
        }
        if !bind.ip().is_loopback() {
            return Ok(Self::NotLoopback);
        }
        let merchant = roster.create_merchant(MerchantName::parse("Demo")?, &Operation::COMMAND_LINE)?.id;
        let order = ApiKeyOrder {
            tenant: Tenant { merchant, environment: Environment::Sandbox },
            name: Some(Name::parse("demo")?),
            scopes: Scopes::DEFAULT,
            expires_at: None,
        };
        let created = roster.create_api_key(order, &Operation::COMMAND_LINE)?;
        Ok(Self::Made(created.secret))
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
        surfaces + &self.credentials(base)
    }

    fn credentials(&self, base: &str) -> String {
        match self {
            Self::Made(secret) => made(base, secret.reveal()),
            Self::MadeBefore(merchant) => format!(
                "
There are merchants already; the demo's key was shown on the first start. Another one:

  {program} keys create --merchant {merchant} --environment sandbox

",
                program = program()
            ),
            Self::NotLoopback => format!(
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
