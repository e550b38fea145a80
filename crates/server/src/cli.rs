//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use roster_application::ports::{CustomerRef, MAX_SNAPSHOT_AGE};
use roster_application::{MAX_OVERLAP, OnConflict, Role, Scope};
use roster_domain::{
    ApiKeyId, CustomerId, CustomerStatus, Endpoint, EndpointDescription, EndpointId, Environment, EventId, EventType,
    ExternalId, MerchantId, MerchantName, Name, OperatorId, Tenant,
};
use roster_http::{Api, ExportFormat};
use roster_transfer::{Format, Unknown};

/// The longest validity of a key that expires: 100 years.
const LONGEST_VALIDITY: Duration = Duration::from_hours(100 * 366 * 24);

/// Roster keeps the customers of a billing platform's merchants.
///
/// One store, three HTTP surfaces: native under /v1, Lumen under /api, Lava under /lava/v1; and /admin/v1 for operators.
#[derive(Debug, Parser)]
#[command(
    name = "roster",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "\
Start with:
  roster serve --demo",
    after_long_help = "\
Start with:
  roster serve --demo                                       try it out, on a SQLite file
  roster migrate                                            or make the database,
  roster merchants create Acme                              a merchant …
  roster keys create --merchant org_… --environment live    … and a key for it
  roster import customers.csv --merchant org_… --environment live --from stripe

Configuration, later wins:
  1. the built-in defaults; config/default.toml lists every key
  2. the TOML file of --config FILE
  3. the environment: http.bind is ROSTER__HTTP__BIND=127.0.0.1:8080
  4. DATABASE_URL: sqlite://relative.db, sqlite:///absolute.db or postgres://user:password@host/name

Results go to standard output, logs to standard error.
Exit codes: 0 done, 1 failed, 2 wrong command line or configuration."
)]
pub struct Cli {
    /// A TOML file with the settings that differ from the defaults
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    #[command(subcommand)]
    pub command: Command,
}

/// The commands of the program.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve requests until a signal stops the service
    ///
    /// SIGTERM or SIGINT (Ctrl-C) stops accepting, finishes the requests in flight and closes the database. A second
    /// signal ends the process at once.
    #[command(after_help = "\
Examples:
  roster serve
  ROSTER__HTTP__BIND=0.0.0.0:8080 DATABASE_URL=postgres://roster:password@db/roster roster serve")]
    Serve {
        /// Make a demo merchant with a sandbox key if there is no merchant and the address is a loopback one, and
        /// print requests to try
        #[arg(long)]
        demo: bool,
    },

    /// Make the database if it is a missing SQLite file, and bring its schema up to date
    ///
    /// Safe to run again, and by several instances at once.
    #[command(after_help = "\
The other commands bring the schema up to date before they begin, unless database.migrate_on_start is false. Only `roster
serve` also makes a missing file.

Examples:
  DATABASE_URL=postgres://roster:password@db/roster roster migrate
  DATABASE_URL=postgres://roster:password@coordinator/roster roster migrate --citus")]
    Migrate {
        /// Distribute the tables over the servers of a Citus cluster, too, by merchant; stop the service meanwhile (docs/citus.md)
        #[arg(long)]
        citus: bool,
    },

    /// Make, list, rename, disable and enable merchants, who own customers
    #[command(subcommand)]
    Merchants(Merchants),

    /// Make, list, rotate and revoke API keys
    #[command(subcommand)]
    Keys(Keys),

    /// Make, list and revoke operators, who manage merchants over HTTP, and read the log of what they did
    #[command(subcommand)]
    Operators(Operators),

    /// Make customers of the rows of a CSV or NDJSON file
    ///
    /// Each row is a transaction's part: after a crash or Ctrl-C the same command goes on behind the rows that were done, and
    /// makes none of them twice. A file that was imported to its end changes nothing when it is imported again.
    #[command(after_help = "\
Examples:
  roster import customers.csv --merchant org_… --environment live --from stripe --dry-run
  roster import customers.csv --merchant org_… --environment live --from stripe
  roster export … | roster import - --merchant org_… --environment sandbox")]
    Import(Import),

    /// Write all customers of a merchant to standard output
    ///
    /// All are as they were at one moment, in the order in which they were registered.
    #[command(after_help = "\
Examples:
  roster export --merchant org_… --environment live > customers.ndjson
  roster export --merchant org_… --environment live --format csv > customers.csv")]
    Export(Export),

    /// What is kept about one person
    #[command(subcommand)]
    Subjects(Subjects),

    /// Read the log of what happened to customers
    #[command(subcommand)]
    Events(Events),

    /// Make, list, change, try and delete webhook endpoints
    #[command(subcommand)]
    Webhooks(Webhooks),

    /// Copy a SQLite database into a new file, as it is at one moment, also while the service runs
    ///
    /// Only the owner may read the file. It is complete and on the disk when the command ends with 0, and is not there otherwise.
    #[command(after_help = "\
PostgreSQL has pg_dump for it.

Example:
  roster backup /var/backups/roster-$(date +%F).db")]
    Backup {
        /// The new file; its folder must be there
        file: PathBuf,
    },

    /// Put a backup into the place of the SQLite database, which no program may have open
    ///
    /// The backup is checked before anything is replaced.
    #[command(after_help = "\
Example:
  roster restore /var/backups/roster-2026-11-23.db")]
    Restore {
        /// The file that `roster backup` has made
        file: PathBuf,

        /// Replace a database that has merchants, or that cannot be read
        #[arg(long)]
        force: bool,
    },

    /// Compare all that is stored with the rules that every writer keeps; ends with 1 if something breaks one
    ///
    /// It writes nothing, and needs a schema that is up to date. It may run beside a service, which it makes slower.
    #[command(after_help = "\
Example:
  roster check --json | jq .counts")]
    Check {
        #[command(flatten)]
        form: Form,
    },

    /// Print a script that completes the command line in a shell
    #[command(after_help = "\
Examples:
  roster completions bash > /usr/share/bash-completion/completions/roster
  roster completions zsh > /usr/local/share/zsh/site-functions/_roster")]
    Completions {
        /// Which shell
        shell: Shell,
    },

    /// Write man pages into a folder, one for each command
    #[command(after_help = "\
Example:
  roster man /usr/local/share/man/man1")]
    Man {
        /// The folder, which is made if it is missing
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },

    /// Print the OpenAPI 3.1 document of an API
    #[command(after_help = "\
Example:
  roster openapi native > openapi.json")]
    Openapi {
        /// Which API
        #[arg(value_parser = api())]
        api: Api,
    },
}

/// The arguments of `roster import`.
#[derive(Debug, Args)]
pub struct Import {
    /// The file; - reads standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    #[command(flatten)]
    pub of: Of,

    /// The format of the file; auto: what it begins with
    #[arg(long, default_value = "auto", value_parser = file_format())]
    pub format: FileFormat,

    /// Where the file comes from: roster, stripe, lago, lava, billingio, lumen, or the path of a mapping of your own
    #[arg(long, value_name = "SOURCE", default_value = "roster")]
    pub from: String,

    /// What becomes of a row whose external identifier or e-mail address a customer has: fail refuses it, skip leaves it out,
    /// update gives the customer what the row has
    #[arg(long, default_value = "fail", value_parser = named(OnConflict::ALL, OnConflict::as_str))]
    pub on_conflict: OnConflict,

    /// Share an e-mail address that another customer has, instead of refusing the row
    #[arg(long)]
    pub allow_duplicate_emails: bool,

    /// What becomes of columns that the source does not name: refuse the file, keep them as metadata, or ignore them
    #[arg(long, default_value = "refuse", value_parser = named(Unknown::ALL, Unknown::as_str))]
    pub unknown: Unknown,

    /// Write nothing, and report what would happen
    #[arg(long)]
    pub dry_run: bool,

    /// Import the file although it was imported before
    #[arg(long)]
    pub again: bool,

    /// Stop when more rows than this were refused
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub max_errors: u64,

    /// Write each error to this file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub errors: Option<PathBuf>,

    #[command(flatten)]
    pub form: Form,
}

/// The format of a file. `None`: what it begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFormat(pub Option<Format>);

/// The arguments of `roster export`.
#[derive(Debug, Args)]
pub struct Export {
    #[command(flatten)]
    pub of: Of,

    /// The format: ndjson has a customer a line, as the native API shows it
    #[arg(
        long,
        default_value = "ndjson",
        value_parser = named([ExportFormat::Ndjson, ExportFormat::Csv], ExportFormat::as_str)
    )]
    pub format: ExportFormat,

    /// Only customers with this status [default: all that are not deleted]
    #[arg(long, value_parser = named(CustomerStatus::ALL, CustomerStatus::as_str))]
    pub status: Option<CustomerStatus>,

    /// How long the export may take, at most 1h: meanwhile the database keeps old versions of rows
    #[arg(long, value_name = "DURATION", value_parser = age, default_value = "1h")]
    pub max_age: Duration,
}

/// The commands for what is kept about one person.
#[derive(Debug, Subcommand)]
pub enum Subjects {
    /// Write everything that is kept about one customer as one JSON document
    ///
    /// The customer, live or deleted, its subscriptions, what happened to it, the saved replies to requests about it, and the
    /// attempts to send its events to webhook endpoints.
    #[command(after_help = "\
Examples:
  roster subjects export cus_… --merchant org_… --environment live > person.json
  roster subjects export usr_1815 --merchant org_… --environment live > person.json")]
    Export {
        /// The id of the customer, or its external identifier
        #[arg(value_parser = customer)]
        customer: CustomerRef,

        #[command(flatten)]
        of: Of,
    },
}

/// The commands for merchants.
#[derive(Debug, Subcommand)]
pub enum Merchants {
    /// Make a merchant
    #[command(after_help = "\
Examples:
  roster merchants create Acme
  roster merchants create 'Acme Inc.' --json")]
    Create {
        /// The merchant's name, 1 to 256 characters
        #[arg(value_parser = |text: &str| MerchantName::parse(text))]
        name: MerchantName,

        #[command(flatten)]
        form: Form,
    },

    /// List all merchants, the oldest first
    List {
        /// Only merchants with this text in their names; ASCII letters in any case
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,

        #[command(flatten)]
        form: Form,
    },

    /// Give a merchant another name
    Rename {
        /// The id that `roster merchants create` or `list` shows: org_…
        #[arg(value_parser = MerchantId::parse)]
        id: MerchantId,

        /// The new name, 1 to 256 characters
        #[arg(value_parser = |text: &str| MerchantName::parse(text))]
        name: MerchantName,

        #[command(flatten)]
        form: Form,
    },

    /// Refuse the keys and tokens of a merchant with 403 until it is enabled; its data stays
    ///
    /// A running service may accept them for a few more seconds, at most `auth.key_cache_ms` of its configuration. Disabling a
    /// merchant again changes nothing. Events are still delivered to its webhook endpoints.
    Disable {
        /// The id that `roster merchants create` or `list` shows: org_…
        #[arg(value_parser = MerchantId::parse)]
        id: MerchantId,

        #[command(flatten)]
        form: Form,
    },

    /// Accept the keys and tokens of a disabled merchant again
    Enable {
        /// The id that `roster merchants create` or `list` shows: org_…
        #[arg(value_parser = MerchantId::parse)]
        id: MerchantId,

        #[command(flatten)]
        form: Form,
    },
}

/// The commands for operators.
#[derive(Debug, Subcommand)]
pub enum Operators {
    /// Make an operator, and show its key this once
    ///
    /// With the key an operator manages merchants and their API keys under /admin/v1, which answers 404 until there is an operator.
    /// It opens no customer data.
    #[command(after_help = "\
Examples:
  roster operators create 'Ada Lovelace'
  roster operators create dashboard --role read --expires-in 90d --json")]
    Create {
        /// The operator's name, 1 to 256 characters
        #[arg(value_parser = operator_name)]
        name: Name,

        /// What it may do: read looks at merchants, keys and the log; admin changes them, too
        #[arg(long, default_value = "admin", value_parser = named(Role::ALL, Role::as_str))]
        role: Role,

        /// How long the key is valid, such as 90d, 12h or 1year [default: for ever]
        #[arg(long, value_name = "DURATION", value_parser = validity)]
        expires_in: Option<Duration>,

        #[command(flatten)]
        form: Form,
    },

    /// List all operators, the oldest first; never their keys
    List {
        #[command(flatten)]
        form: Form,
    },

    /// Revoke an operator: from now on its key is refused
    ///
    /// A running service may accept it for a few more seconds, at most `auth.key_cache_ms` of its configuration. A revocation
    /// cannot be undone. Revoking an operator again changes nothing.
    Revoke {
        /// The id that `roster operators create` or `list` shows: op_…
        #[arg(value_parser = OperatorId::parse)]
        id: OperatorId,

        #[command(flatten)]
        form: Form,
    },

    /// List the last entries of the operator log, the newest first
    ///
    /// Every command or request of an operator that makes or changes a merchant, a key or an operator is logged. Entries are kept for
    /// 400 days.
    Log {
        /// How many entries, 1 to 100
        #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=100))]
        last: u16,

        #[command(flatten)]
        form: Form,
    },
}

/// The commands for API keys.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make an API key, and show it this once
    #[command(after_help = "\
Examples:
  roster keys create --merchant org_… --environment sandbox
  roster keys create --merchant org_… --environment live --name 'billing worker' --expires-in 90d --json")]
    Create {
        /// The merchant that the key belongs to: the id that `roster merchants create` or `list` shows
        #[arg(long, value_name = "ID", value_parser = MerchantId::parse)]
        merchant: MerchantId,

        /// The environment of the key: live for real customers, sandbox for tests
        #[arg(long, value_parser = environment())]
        environment: Environment,

        /// The key's name
        #[arg(long, value_parser = |text: &str| Name::parse(text))]
        name: Option<Name>,

        /// A scope of the key; may be given several times [default: all scopes but keys:manage]
        #[arg(long = "scope", value_name = "SCOPE", value_parser = scope())]
        scopes: Vec<Scope>,

        /// How long the key is valid, such as 90d, 12h or 1year [default: for ever]
        #[arg(long, value_name = "DURATION", value_parser = validity)]
        expires_in: Option<Duration>,

        #[command(flatten)]
        form: Form,
    },

    /// List all keys of a merchant, the oldest first; never the keys themselves
    List {
        /// The merchant that owns the keys
        #[arg(long, value_name = "ID", value_parser = MerchantId::parse)]
        merchant: MerchantId,

        #[command(flatten)]
        form: Form,
    },

    /// Replace a key with a new one; the old key stays valid for a while
    ///
    /// The new key has the name and the scopes of the old one, and ends when that would have ended. With an overlap of 0s
    /// the old key is revoked. A key is rotated once; rotate the new one in turn.
    #[command(after_help = "\
Examples:
  roster keys rotate key_… --overlap 24h
  roster keys rotate key_… --overlap 0s      the old key is refused within auth.key_cache_ms")]
    Rotate {
        /// The id that `roster keys create` or `list` shows: key_…
        #[arg(value_parser = ApiKeyId::parse)]
        id: ApiKeyId,

        /// How long the old key stays valid beside the new one, at most 30 days, such as 24h or 0s
        #[arg(long, value_name = "DURATION", value_parser = overlap, default_value = "24h")]
        overlap: Duration,

        #[command(flatten)]
        form: Form,
    },

    /// Revoke a key: from now on it is refused
    ///
    /// A running service may accept it for a few more seconds, at most `auth.key_cache_ms` of its configuration. A
    /// revocation cannot be undone. Revoking a key again changes nothing.
    Revoke {
        /// The id that `roster keys create` or `list` shows: key_…
        #[arg(value_parser = ApiKeyId::parse)]
        id: ApiKeyId,

        #[command(flatten)]
        form: Form,
    },
}

/// The commands for events.
#[derive(Debug, Subcommand)]
pub enum Events {
    /// Print the last events of a merchant, and those that happen until Ctrl-C
    ///
    /// The text names the fields that changed; --json has their values, too.
    #[command(after_help = "\
Examples:
  roster events tail --merchant org_… --environment live
  roster events tail --merchant org_… --environment live --last 1000 --once --json | jq .type")]
    Tail {
        #[command(flatten)]
        of: Of,

        /// How many events of the past are printed, 0 to 1000
        #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=1000))]
        last: u64,

        /// Only events of this type
        #[arg(long = "type", value_name = "TYPE", value_parser = event_type())]
        kind: Option<EventType>,

        /// Only events of this customer, cus_…
        #[arg(long, value_name = "ID", value_parser = CustomerId::parse)]
        customer: Option<CustomerId>,

        /// End after the events of the past
        #[arg(long)]
        once: bool,

        /// Print each event as the API shows it, one JSON object a line
        #[arg(long)]
        json: bool,
    },
}

/// The commands for webhook endpoints.
#[derive(Debug, Subcommand)]
pub enum Webhooks {
    /// Make an endpoint, to which the events from now on are sent, and show its secret this once
    #[command(after_help = "\
Examples:
  roster webhooks create --merchant org_… --environment live https://example.com/hooks
  roster webhooks create --merchant org_… --environment live --event customer.created https://example.com/hooks")]
    Create {
        #[command(flatten)]
        of: Of,

        /// Where events are sent: https, and a public address, unless `webhooks.allow_private` is true
        url: String,

        /// A type of events that are sent; may be given several times [default: all]
        #[arg(long = "event", value_name = "TYPE", value_parser = event_type())]
        events: Vec<EventType>,

        /// What it is for, at most 256 characters
        #[arg(long, value_parser = |text: &str| EndpointDescription::parse(text))]
        description: Option<EndpointDescription>,

        /// Send the customer as it then is with each event
        #[arg(long)]
        with_customer: bool,

        #[command(flatten)]
        form: Form,
    },

    /// List the endpoints of a merchant, the oldest first, and what is not delivered to each
    List {
        #[command(flatten)]
        of: Of,

        #[command(flatten)]
        form: Form,
    },

    /// List the last attempts to deliver to an endpoint, the newest first
    Attempts {
        #[command(flatten)]
        at: At,

        /// How many attempts, 1 to 100
        #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=100))]
        last: u16,

        #[command(flatten)]
        form: Form,
    },

    /// Send a test event now, and show what came of it
    Test {
        #[command(flatten)]
        at: At,

        #[command(flatten)]
        form: Form,
    },

    /// Send events again: all from a place of the log on, or one
    #[command(group = clap::ArgGroup::new("which").required(true), after_help = "\
Examples:
  roster webhooks replay --merchant org_… --environment live we_… --from 1
  roster webhooks replay --merchant org_… --environment live we_… --event evt_…")]
    Replay {
        #[command(flatten)]
        at: At,

        /// The seq of the first event that is sent again
        #[arg(long, value_name = "SEQ", group = "which", value_parser = clap::value_parser!(i64).range(1..))]
        from: Option<i64>,

        /// The event that is sent again
        #[arg(long, value_name = "ID", group = "which", value_parser = EventId::parse)]
        event: Option<EventId>,
    },

    /// Make a new secret, and show it this once; deliveries are signed with the old one as well for a while
    Rotate {
        #[command(flatten)]
        at: At,

        /// How long they are, at most 7 days, such as 24h or 0s
        #[arg(long, value_name = "DURATION", value_parser = secret_overlap, default_value = "24h")]
        overlap: Duration,

        #[command(flatten)]
        form: Form,
    },

    /// Send nothing to an endpoint until it is enabled
    Disable {
        #[command(flatten)]
        at: At,

        #[command(flatten)]
        form: Form,
    },

    /// Send to a disabled endpoint again, beginning with what it has missed
    Enable {
        #[command(flatten)]
        at: At,

        #[command(flatten)]
        form: Form,
    },

    /// Delete an endpoint and its log of attempts
    Delete {
        #[command(flatten)]
        at: At,
    },
}

/// Whose data a command is about.
#[derive(Debug, Clone, Copy, Args)]
pub struct Of {
    /// The merchant: the id that `roster merchants create` or `list` shows
    #[arg(long, value_name = "ID", value_parser = MerchantId::parse)]
    merchant: MerchantId,

    /// The environment: live for real customers, sandbox for tests
    #[arg(long, value_parser = environment())]
    environment: Environment,
}

impl From<Of> for Tenant {
    fn from(of: Of) -> Self {
        Self { merchant: of.merchant, environment: of.environment }
    }
}

/// Which endpoint a command is about.
#[derive(Debug, Clone, Copy, Args)]
pub struct At {
    #[command(flatten)]
    pub of: Of,

    /// The id that `roster webhooks create` or `list` shows: we_…
    #[arg(value_parser = EndpointId::parse)]
    pub id: EndpointId,
}

/// The output format of a result.
#[derive(Debug, Clone, Copy, Args)]
pub struct Form {
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

fn environment() -> impl TypedValueParser<Value = Environment> {
    PossibleValuesParser::new(Environment::ALL.map(Environment::as_str)).try_map(|text| Environment::parse(&text))
}

/// One of `all`, by its name.
fn named<T: Copy + Send + Sync + 'static, const N: usize>(
    all: [T; N],
    name: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let find = move |given: String| all.into_iter().find(|one| name(*one) == given).ok_or("must be one of these");
    PossibleValuesParser::new(all.map(name)).try_map(find)
}

fn file_format() -> impl TypedValueParser<Value = FileFormat> {
    let all = [None, Some(Format::Csv), Some(Format::Ndjson)].map(FileFormat);
    named(all, |FileFormat(format)| format.map_or("auto", Format::as_str))
}

fn customer(text: &str) -> Result<CustomerRef, String> {
    match CustomerId::parse(text) {
        Ok(id) => Ok(CustomerRef::Id(id)),
        Err(_) => ExternalId::parse(text).map(CustomerRef::ExternalId).map_err(|rule| rule.to_string()),
    }
}

fn age(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| format!("{error}; write 10m or 1h"))?;
    if duration < Duration::from_secs(1) || duration > MAX_SNAPSHOT_AGE {
        return Err("must be from 1s to 1h".to_owned());
    }
    Ok(duration)
}

fn operator_name(text: &str) -> Result<Name, String> {
    let name = Name::parse(text).map_err(|rule| rule.to_string())?;
    // A customer's name may be empty.
    if name.as_str().is_empty() { Err("must not be empty".to_owned()) } else { Ok(name) }
}

fn event_type() -> impl TypedValueParser<Value = EventType> {
    PossibleValuesParser::new(EventType::ALL.map(EventType::as_str)).try_map(|text| EventType::parse(&text))
}

fn api() -> impl TypedValueParser<Value = Api> {
    let named = |name: String| Api::ALL.into_iter().find(|api| api.as_str() == name).ok_or("must be an API");
    PossibleValuesParser::new(Api::ALL.map(Api::as_str)).try_map(named)
}

fn scope() -> impl TypedValueParser<Value = Scope> {
    PossibleValuesParser::new(Scope::ALL.map(Scope::as_str)).try_map(|text| Scope::parse(&text))
}

fn overlap(text: &str) -> Result<Duration, String> {
    overlap_of_at_most(MAX_OVERLAP, text)
}

fn secret_overlap(text: &str) -> Result<Duration, String> {
    overlap_of_at_most(Endpoint::MAX_OVERLAP, text)
}

fn overlap_of_at_most(most: Duration, text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| format!("{error}; write 24h, 30m or 0s"))?;
    if duration > most {
        return Err(format!("must be at most {}", humantime::format_duration(most)));
    }
    Ok(duration)
}

fn validity(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| format!("{error}; write 90d, 12h or 1year"))?;
    // Times are stored in milliseconds: a shorter validity would become zero.
    if duration < Duration::from_millis(1) || duration > LONGEST_VALIDITY {
        return Err("must be from 1ms to 100years".to_owned());
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_duration_has_a_unit_and_bounds() {
        assert_eq!(validity("90d"), Ok(Duration::from_hours(90 * 24)));
        assert!(validity("100years").is_ok());
        for text in ["", "90", "0s", "999us", "101years", "-1d", "soon", "18446744073709551615y"] {
            assert!(validity(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_overlap_is_at_most_thirty_days() {
        assert_eq!(overlap("24h"), Ok(Duration::from_hours(24)));
        assert_eq!(overlap("0s"), Ok(Duration::ZERO));
        assert!(overlap("30d").is_ok());
        for text in ["", "24", "31d", "-1h"] {
            assert!(overlap(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_config_option_may_precede_or_follow_the_command() {
        for arguments in [["roster", "--config", "f", "migrate"], ["roster", "migrate", "--config", "f"]] {
            let cli = Cli::try_parse_from(arguments).expect("a command line");
            assert_eq!(cli.config, Some(PathBuf::from("f")));
        }
    }
}
