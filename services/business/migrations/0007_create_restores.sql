-- Restores of tenants, so that each is done once. The detached schema of one that is being filled is named here; a
-- schema r_* that is named nowhere is left over and removed. The generation stands in the upper half of the versions
-- of restored records and in resume tokens: both only grow, whatever a backup holds.
CREATE TABLE business.restores (
    tenant_id    uuid        NOT NULL,
    id           uuid        NOT NULL,
    state        text        NOT NULL CHECK (state IN ('filling', 'done')),
    schema_name  text        CHECK ((state = 'filling') = (schema_name IS NOT NULL)),
    generation   bigint      NOT NULL,
    object_types bigint      NOT NULL DEFAULT 0,
    records      bigint      NOT NULL DEFAULT 0,
    create_time  timestamptz NOT NULL DEFAULT pg_catalog.now(),
    update_time  timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX restores_generation ON business.restores (tenant_id, generation) WHERE state = 'done';
CREATE UNIQUE INDEX restores_one_at_a_time ON business.restores (tenant_id) WHERE state = 'filling';
SELECT tenancy.enable_rls('business', 'restores', ARRAY['tenantry_business']);
REVOKE INSERT, UPDATE, DELETE ON business.restores FROM tenantry_business;
CREATE POLICY ddl ON business.restores TO tenantry_owner USING (true) WITH CHECK (true);
