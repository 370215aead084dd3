-- What jobs may do over all tenants. None of it reads what a tenant wrote: no description, no types, no input, no result.

-- The worker leases what is due.
GRANT SELECT (tenant_id, id, state, next_time, attempt, lease_owner, snapshot_id, create_time), UPDATE (lease_owner, next_time, attempt)
    ON backup.operations TO tenantry_backup_sys;
CREATE POLICY claim_read ON backup.operations FOR SELECT TO tenantry_backup_sys USING (true);
CREATE POLICY claim_write ON backup.operations FOR UPDATE TO tenantry_backup_sys
    USING (state = 'running') WITH CHECK (state = 'running');

-- The scheduler gives every tenant a policy, and starts what is due: scheduled snapshots and nothing else.
GRANT SELECT, INSERT, UPDATE (next_time, gone_time) ON backup.policies TO tenantry_backup_sys;
CREATE POLICY schedule_read ON backup.policies FOR SELECT TO tenantry_backup_sys USING (true);
CREATE POLICY schedule_insert ON backup.policies FOR INSERT TO tenantry_backup_sys WITH CHECK (true);
CREATE POLICY schedule_write ON backup.policies FOR UPDATE TO tenantry_backup_sys USING (true) WITH CHECK (true);
GRANT INSERT ON backup.snapshots, backup.operations TO tenantry_backup_sys;
CREATE POLICY schedule_insert ON backup.snapshots FOR INSERT TO tenantry_backup_sys
    WITH CHECK (kind = 'scheduled' AND state = 'running');
CREATE POLICY schedule_insert ON backup.operations FOR INSERT TO tenantry_backup_sys
    WITH CHECK (verb = 'create_snapshot' AND state = 'running' AND creator = '');

-- Retention marks what has expired, and removes rows whose objects are gone. Operators see ages and sizes.
GRANT SELECT (tenant_id, id, kind, state, snapshot_time, create_time, expire_time, verify_time, problem, stored_bytes), UPDATE (state)
    ON backup.snapshots TO tenantry_backup_sys;
CREATE POLICY retention_read ON backup.snapshots FOR SELECT TO tenantry_backup_sys USING (true);
CREATE POLICY retention_write ON backup.snapshots FOR UPDATE TO tenantry_backup_sys
    USING (state <> 'running') WITH CHECK (state = 'deleting');

-- A tenant that is gone for good leaves nothing here.
GRANT DELETE ON backup.snapshots, backup.policies, backup.operations TO tenantry_backup_sys;
CREATE POLICY purge ON backup.snapshots FOR DELETE TO tenantry_backup_sys USING (true);
CREATE POLICY purge ON backup.policies FOR DELETE TO tenantry_backup_sys USING (true);
CREATE POLICY purge ON backup.operations FOR DELETE TO tenantry_backup_sys USING (true);
