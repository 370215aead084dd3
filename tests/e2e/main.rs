//! Flows end to end through the gateway, as customers and operators use it.

mod architecture;
mod backups;
mod bad_input;
mod changes;
mod cli;
mod identity;
mod records;
mod restores;
mod tenants;
mod usage;
