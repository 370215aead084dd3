//! BackupFleetService.

use super::timestamp;
use crate::app::fleet::Fleet;
use tenantry_api::backup::{
    ListTenantBackupsRequest, ListTenantBackupsResponse, TenantBackup, backup_fleet_service_server::BackupFleetService,
};
use tenantry_server::unary;
use tonic::{Request, Response, Status, async_trait};

/// See the proto.
#[derive(Debug)]
pub struct FleetRpc(pub Fleet);

#[async_trait]
impl BackupFleetService for FleetRpc {
    async fn list_tenant_backups(
        &self,
        request: Request<ListTenantBackupsRequest>,
    ) -> Result<Response<ListTenantBackupsResponse>, Status> {
        unary(request, async |ctx, message: ListTenantBackupsRequest| {
            let (page, next_page_token) = self.0.list(&ctx, message.page_size, &message.page_token).await?;
            let shown = page.into_iter().map(|(backup, slug)| TenantBackup {
                tenant: format!("tenants/{}", backup.tenant),
                slug,
                last_snapshot_time: backup.last_snapshot_time.map(timestamp),
                last_verify_time: backup.last_verify_time.map(timestamp),
                snapshots: i32::try_from(backup.snapshots).unwrap_or(i32::MAX),
                stored_bytes: backup.stored_bytes,
                problem: backup.problem,
            });
            Ok(ListTenantBackupsResponse {
                tenant_backups: shown.collect(),
                next_page_token,
            })
        })
        .await
    }
}
