-- Finished operations go after a while; what is removed must not be in the work of a running one.
GRANT SELECT (update_time) ON backup.operations TO tenantry_backup_sys;
GRANT SELECT (operation_id) ON backup.snapshots TO tenantry_backup_sys;
CREATE INDEX operations_finished ON backup.operations (update_time) WHERE state <> 'running';
