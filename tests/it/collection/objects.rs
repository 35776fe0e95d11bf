//! Every object that a model's store can hold, as a bit.
//!
//! Kernels 0 and 1 share header 0; kernel 2 has header 1.

use btfleet::artifact::{BtfDigest, Generator, HeaderDigest, Key, Object, Owner};
use std::collections::BTreeSet;

/// A set of objects.
pub type Set = u64;

pub const KERNELS: usize = 3;
pub const HEADERS: usize = 2;
pub const CLUSTERS: usize = 2;

/// Per kernel: BTF, manifest, index entry, a reference of each cluster, a person's pin.
const PER_KERNEL: u32 = 6;
const FIRST_HEADER: u32 = PER_KERNEL * KERNELS as u32;
const FIRST_ASIDE: u32 = FIRST_HEADER + HEADERS as u32;

pub const fn btf(kernel: usize) -> u32 {
    PER_KERNEL * kernel as u32
}

pub const fn manifest(kernel: usize) -> u32 {
    btf(kernel) + 1
}

pub const fn index(kernel: usize) -> u32 {
    btf(kernel) + 2
}

pub const fn reference(kernel: usize, cluster: usize) -> u32 {
    btf(kernel) + 3 + cluster as u32
}

pub const fn pin(kernel: usize) -> u32 {
    btf(kernel) + 5
}

/// The header of a kernel.
pub const fn header(kernel: usize) -> u32 {
    FIRST_HEADER + header_number(kernel) as u32
}

pub const fn header_number(kernel: usize) -> usize {
    kernel / 2
}

pub const fn set(bit: u32) -> Set {
    1 << bit
}

/// Objects that are not copies.
pub const ORIGINALS: Set = set(FIRST_ASIDE) - 1;

/// All references and pins of a kernel.
pub fn claims(kernel: usize) -> Set {
    let clusters = (0..CLUSTERS).map(|c| set(reference(kernel, c)));
    clusters.sum::<Set>() | set(pin(kernel))
}

/// What a published kernel has, but for references.
pub fn whole(kernel: usize) -> Set {
    set(btf(kernel)) | set(manifest(kernel)) | set(index(kernel)) | set(header(kernel))
}

/// The objects behind the bits.
pub struct Objects {
    all: Vec<Object>,
}

impl Objects {
    pub fn new() -> Objects {
        let cluster = |c: usize| owner(&format!("cluster-{c}"));
        let mut all = Vec::new();
        for k in 0..KERNELS {
            let btf = kernel(k);
            let index = format!("index/amd64/6.{k}/{}", btf.hex());
            all.push(Object::Btf(btf));
            all.push(Object::Manifest(btf, Generator::OWN));
            all.push(Object::parse(&Key::new(&index).unwrap()).unwrap());
            all.extend((0..CLUSTERS).map(|c| Object::Ref(btf, cluster(c))));
            all.push(Object::Ref(btf, Owner::pin("person").unwrap()));
        }
        all.extend((0..HEADERS).map(|h| Object::Header(header_digest(h))));
        let originals = all.clone();
        for c in 0..CLUSTERS {
            let foreign = |object: &&Object| match object {
                Object::Ref(_, owner) => *owner != cluster(c),
                _ => false,
            };
            let mine = originals.iter().filter(|object| !foreign(object));
            all.extend(mine.map(|object| object.aside(&cluster(c))));
        }
        assert!(all.len() < 64);
        Objects { all }
    }

    pub fn cluster(&self, number: usize) -> Owner {
        owner(&format!("cluster-{number}"))
    }

    pub fn kernel(&self, number: usize) -> BtfDigest {
        kernel(number)
    }

    pub fn number(&self, btf: &BtfDigest) -> usize {
        (0..KERNELS).find(|k| kernel(*k) == *btf).unwrap()
    }

    pub fn header_of(&self, kernel: usize) -> HeaderDigest {
        header_digest(header_number(kernel))
    }

    /// The headers of these bits.
    pub fn headers(&self, bits: u8) -> BTreeSet<HeaderDigest> {
        let there = (0..HEADERS).filter(|h| bits & 1 << h != 0);
        there.map(header_digest).collect()
    }

    pub fn all_headers(&self) -> Vec<Object> {
        (0..HEADERS)
            .map(|h| Object::Header(header_digest(h)))
            .collect()
    }

    pub fn bit(&self, object: &Object) -> u32 {
        let position = self.all.iter().position(|o| o == object);
        position.unwrap_or_else(|| panic!("{object:?} is no object of the model")) as u32
    }

    /// The objects of a set.
    pub fn in_set(&self, objects: Set) -> Vec<Object> {
        let there = self.all.iter().enumerate();
        let there = there.filter(|(bit, _)| objects & set(*bit as u32) != 0);
        there.map(|(_, object)| object.clone()).collect()
    }

    /// All objects that can be in a folder.
    pub fn under(&self, folder: &Key) -> Set {
        let inside = self.all.iter().enumerate();
        let inside =
            inside.filter(|(_, object)| object.key().as_str().starts_with(folder.as_str()));
        inside.map(|(bit, _)| set(bit as u32)).sum()
    }

    /// The copy that `cluster` may have set aside of an object.
    pub fn aside_bit(&self, bit: u32, cluster: usize) -> u32 {
        self.bit(&self.all[bit as usize].aside(&self.cluster(cluster)))
    }

    /// All that `cluster` may have set aside.
    pub fn aside(&self, cluster: usize) -> Set {
        self.under(&Object::aside_of(&self.cluster(cluster)))
    }
}

fn owner(name: &str) -> Owner {
    name.parse().unwrap()
}

fn kernel(number: usize) -> BtfDigest {
    BtfDigest::of(&[number as u8])
}

fn header_digest(number: usize) -> HeaderDigest {
    HeaderDigest::of(&[number as u8])
}
