#!/bin/sh
# Run once, when the database is made: a role of its own for Keystile, which owns its database and nothing else.
set -eu
psql --username "$POSTGRES_USER" --no-psqlrc --set ON_ERROR_STOP=1 \
    --set password="$(cat /run/secrets/database_password)" <<'SQL'
CREATE ROLE keystile LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'password';
CREATE DATABASE keystile OWNER keystile ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE keystile FROM PUBLIC;
SQL
