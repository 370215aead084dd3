#!/bin/bash
# Runs once in the database's container, before it listens: roles, databases, and what PUBLIC must not have.
set -euo pipefail
{
  cat /run/secrets/postgres_roles
  echo '\ir /tenantry/bootstrap.sql'
} | psql -X -q -v ON_ERROR_STOP=1 -U postgres -d postgres -f -
