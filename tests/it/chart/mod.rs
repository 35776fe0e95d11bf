//! charts/btfleet: what it renders to, whether real API servers take it, and what comes of `btfleet store init`.

mod drift;
mod matrix;
mod monitoring;
mod render;
mod schemas;
mod store_init;
mod values;
