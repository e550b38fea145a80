//! The files that were sent to be imported.

use roster_application::ports::{StoreError, UploadRepository};
use roster_application::{PartKind, Upload};
use roster_domain::{Tenant, UploadId};

use crate::unit_of_work::MemoryUnitOfWork;

impl UploadRepository for MemoryUnitOfWork<'_> {
    fn insert(&mut self, upload: &Upload) -> Result<(), StoreError> {
        self.call(|rows| {
            rows.require_merchant(upload.tenant.merchant)?;
            let is_other = |one: &Upload| one.tenant == upload.tenant && one.ended_at.is_none();
            let is_second = upload.ended_at.is_none() && rows.uploads.values().any(is_other);
            if rows.uploads.contains_key(&(upload.tenant, upload.id)) || is_second {
                return Err(StoreError::Duplicate { index: "uploads".to_owned() });
            }
            rows.uploads.insert((upload.tenant, upload.id), upload.clone());
            Ok(())
        })
    }

    fn find(&mut self, tenant: Tenant, id: UploadId) -> Result<Option<Upload>, StoreError> {
        self.call(|rows| Ok(rows.uploads.get(&(tenant, id)).cloned()))
    }

    fn list(&mut self, tenant: Tenant, before: Option<UploadId>, limit: usize) -> Result<Vec<Upload>, StoreError> {
        self.call(|rows| {
            let is_wanted =
                |upload: &&Upload| upload.tenant == tenant && before.is_none_or(|before| upload.id < before);
            let newest = rows.uploads.values().rev().filter(is_wanted);
            Ok(newest.take(limit).cloned().collect())
        })
    }

    fn unended(&mut self, tenants: &[Tenant]) -> Result<Vec<(Tenant, UploadId)>, StoreError> {
        self.call(|rows| {
            let is_unended = |upload: &&Upload| tenants.contains(&upload.tenant) && upload.ended_at.is_none();
            Ok(rows.uploads.values().filter(is_unended).map(|upload| (upload.tenant, upload.id)).collect())
        })
    }

    fn lock(&mut self, tenant: Tenant, id: UploadId) -> Result<Option<Upload>, StoreError> {
        UploadRepository::find(self, tenant, id)
    }

    fn update(&mut self, upload: &Upload) -> Result<(), StoreError> {
        self.call(|rows| {
            if let Some(stored) = rows.uploads.get_mut(&(upload.tenant, upload.id)) {
                *stored = upload.clone();
            }
            Ok(())
        })
    }

    fn delete(&mut self, tenant: Tenant, id: UploadId) -> Result<(), StoreError> {
        self.call(|rows| {
            rows.uploads.remove(&(tenant, id));
            rows.upload_parts.retain(|(of, part_of, ..), _| (*of, *part_of) != (tenant, id));
            Ok(())
        })
    }

    fn forget_before(&mut self, tenant: Tenant, oldest: UploadId) -> Result<(), StoreError> {
        self.call(|rows| {
            rows.uploads.retain(|(of, id), upload| *of != tenant || *id >= oldest || upload.ended_at.is_none());
            let uploads = &rows.uploads;
            rows.upload_parts.retain(|(of, id, ..), _| uploads.contains_key(&(*of, *id)));
            Ok(())
        })
    }

    fn add_part(
        &mut self,
        tenant: Tenant,
        id: UploadId,
        kind: PartKind,
        number: u32,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        self.call(|rows| {
            if !rows.uploads.contains_key(&(tenant, id)) {
                return Err(StoreError::internal("there is no such upload"));
            }
            let key = (tenant, id, kind, number);
            if rows.upload_parts.contains_key(&key) {
                return Err(StoreError::Duplicate { index: "upload_parts".to_owned() });
            }
            rows.upload_parts.insert(key, bytes.to_vec());
            Ok(())
        })
    }

    fn part(
        &mut self,
        tenant: Tenant,
        id: UploadId,
        kind: PartKind,
        number: u32,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.call(|rows| Ok(rows.upload_parts.get(&(tenant, id, kind, number)).cloned()))
    }

    fn delete_parts(&mut self, tenant: Tenant, id: UploadId, kind: PartKind) -> Result<(), StoreError> {
        self.call(|rows| {
            rows.upload_parts.retain(|(of, part_of, of_kind, _), _| (*of, *part_of, *of_kind) != (tenant, id, kind));
            Ok(())
        })
    }
}
