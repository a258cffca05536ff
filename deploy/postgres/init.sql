-- What migrations need, made once by a superuser in the product's own, empty database. The compose
-- file's container runs it at its first start; on a server of your own:
--
--   createdb smart_audit
--   psql -d smart_audit -v owner_password=… -f deploy/postgres/init.sql
--
-- Migrations then run as smart_audit_owner, who is no superuser. They make the schemas, and the
-- roles smart_audit_auth and smart_audit_audit as which the services run.
\getenv owner_password POSTGRES_OWNER_PASSWORD
CREATE ROLE smart_audit_owner LOGIN CREATEROLE PASSWORD :'owner_password';
ALTER DATABASE :"DBNAME" OWNER TO smart_audit_owner;
-- Only a superuser may add it.
CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;
