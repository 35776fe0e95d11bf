//! What the tests share: BTF made to measure, real kernels, compilers, an independent reader of BTF.

pub mod btfgen;
pub mod btfread;
pub mod btfwrite;
pub mod cc;
pub mod chart;
pub mod compare;
pub mod compile;
pub mod core;
pub mod dump;
pub mod fixtures;
pub mod header;
pub mod hostile;
pub mod kept;
pub mod kernels;
pub mod kinds;
pub mod layout;
pub mod refbtf;
pub mod roundtrip;
pub mod servers;
pub mod shrink;
pub mod stores;
pub mod twingen;
pub mod typegen;
