use roster_application::ports::{Position, Replica, Shown, Standing, StoreError, Work};

use crate::conninfo::Conninfo;
use crate::pool::{Borrowed, Pool};
use crate::position::Place;
use crate::session::Connector;
use crate::store::Options;
use crate::unit_of_work::PostgresUnitOfWork;

/// A hot standby.
///
/// Several standbys may be behind one address: how far each has come is remembered for each connection.
pub struct PostgresReplica {
    pool: Pool,
    /// One connection more, so that looking at the standby never waits behind reads.
    check: Pool,
    search_index: bool,
}

impl PostgresReplica {
    /// Makes the replica. It opens no connection: the first call that needs one finds out whether the standby is there.
    ///
    /// # Errors
    /// [`StoreError::Internal`] if an option is unusable. The source names the option and does not repeat the URL.
    pub fn connect(options: &Options) -> Result<Self, StoreError> {
        let conninfo = Conninfo::parse(&options.url, options.wait).map_err(StoreError::internal)?;
        let connector = || Connector::new(conninfo.clone(), options.deadline);
        let pool = Pool::new(connector(), options.connections, options.wait)?;
        let check = Pool::new(connector(), 1, options.wait)?;
        Ok(Self { pool, check, search_index: options.search_index })
    }
}

impl Replica for PostgresReplica {
    fn run_read(&self, wanted: &[Option<Position>], work: &mut Work<'_>) -> Result<Option<Shown>, StoreError> {
        let mut session = self.pool.get()?;
        let mut least = session.applied();
        let is_known = |least: Option<Position>| {
            wanted.iter().flatten().all(|wanted| least.is_some_and(|least| least.includes(*wanted)))
        };
        if !is_known(least) {
            least = Some(applied(&mut session)?);
        }
        let is_shown =
            |wanted: &Option<Position>| wanted.is_none_or(|wanted| least.is_some_and(|least| least.includes(wanted)));
        if !wanted.iter().any(is_shown) {
            return Ok(None);
        }
        let mut unit_of_work = PostgresUnitOfWork::direct(&mut session).with_search_index(self.search_index);
        let verdict = work(&mut unit_of_work);
        unit_of_work.finish(verdict)?;
        Ok(Some(Shown { least, most: applied(&mut session)? }))
    }

    fn look(&self) -> Result<Standing, StoreError> {
        let Place { position, is_standby } = self.check.get()?.place()?;
        Ok(if is_standby { Standing::Follows(position) } else { Standing::TakesWrites })
    }
}

/// Asks the standby how far it has come.
fn applied(session: &mut Borrowed) -> Result<Position, StoreError> {
    let Place { position, is_standby } = session.place()?;
    if is_standby { Ok(position) } else { Err(StoreError::unavailable("the standby was promoted")) }
}
