//! `/openapi.json`: what the routes take and give, with the schemas of the very types they send.

use super::routes::{MAX_TYPE_NAME, MAX_TYPES};
use crate::artifact::Manifest;
use crate::consumer::wire::{KernelList, NodeKernel, Problem};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// The document (OpenAPI 3.1, whose schemas are JSON Schema 2020-12).
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| {
        s.definitions_path = "/components/schemas".into();
    });
    let mut schemas = SchemaGenerator::new(settings);
    let of = |name: Value| json!({ "schema": name });
    let node = of(schemas.subschema_for::<NodeKernel>().into());
    let list = of(schemas.subschema_for::<KernelList>().into());
    let manifest = of(schemas.subschema_for::<Manifest>().into());
    let problem = of(schemas.subschema_for::<Problem>().into());
    let answers = Answers { problem };
    let name = json!({
        "name": "node", "in": "path", "required": true, "description": "The Node's name.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 253, "pattern": "^[a-z0-9.-]+$"},
        "example": "worker-1",
    });
    let kernel = json!({
        "name": "kernel", "in": "path", "required": true,
        "description": "A BTF digest, or a kernel id: the first 32 digits of one.",
        "schema": {"type": "string", "pattern": "^(sha256:[0-9a-f]{64}|[0-9a-f]{32})$"},
    });
    let types = json!({
        "name": "type", "in": "query", "style": "form", "explode": true,
        "description": "Only this type and what it needs; may be given several times.",
        "schema": {"type": "array", "maxItems": MAX_TYPES, "uniqueItems": true, "items": {
            "type": "string", "minLength": 1, "maxLength": MAX_TYPE_NAME, "pattern": "^[A-Za-z0-9_ ]+$",
        }},
    });
    let query = |name: &str, says: &str, schema: Value| json!({"name": name, "in": "query", "description": says, "schema": schema});
    let arch = query(
        "arch",
        "The machine, as Kubernetes or `uname -m` spell it.",
        json!({"type": "string", "pattern": "^(amd64|x86_64|arm64|aarch64|s390x|ppc64le|riscv64|arm|386|loong64)$"}),
    );
    let release = query(
        "release",
        "As `uname -r` prints it.",
        json!({"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z0-9_+~-][A-Za-z0-9._+~-]*$"}),
    );
    let header = json!({"text/x-c; charset=utf-8": {"schema": {"type": "string"}}});
    let btf = json!({"application/octet-stream": {"schema": {"type": "string", "contentEncoding": "binary"}}});
    let is = |content: &Value| json!({"application/json": content});
    let mut paths = Map::new();
    let mut path = |at: &str, says: &str, parameters: &[&Value], content: Value, kind: Sends| {
        let answers = answers.of(content, kind);
        let get = json!({"summary": says, "parameters": parameters, "responses": answers});
        paths.insert(at.to_owned(), json!({ "get": get }));
    };
    use Sends::{Blob, Json};
    path(
        "/v1/nodes/{node}/manifest",
        "The kernel that a node runs now.",
        &[&name],
        is(&node),
        Json,
    );
    path(
        "/v1/nodes/{node}/vmlinux.h",
        "Its header.",
        &[&name, &types],
        header.clone(),
        Blob,
    );
    path(
        "/v1/nodes/{node}/vmlinux.btf",
        "Its BTF.",
        &[&name],
        btf.clone(),
        Blob,
    );
    path(
        "/v1/kernels",
        "The kernels there are.",
        &[&arch, &release],
        is(&list),
        Json,
    );
    path(
        "/v1/kernels/{kernel}/manifest",
        "What a kernel's BTF and header are.",
        &[&kernel],
        is(&manifest),
        Json,
    );
    path(
        "/v1/kernels/{kernel}/vmlinux.h",
        "The header that this server's generator makes of it.",
        &[&kernel, &types],
        header,
        Blob,
    );
    path(
        "/v1/kernels/{kernel}/vmlinux.btf",
        "A kernel's BTF.",
        &[&kernel],
        btf,
        Blob,
    );
    let page = json!({"text/html; charset=utf-8": {"schema": {"type": "string"}}});
    path("/", "The inventory as a page.", &[], page, Json);
    let itself = json!({"application/json": {"schema": {"type": "object"}}});
    path("/openapi.json", "This document.", &[], itself, Json);
    let program = query(
        "program",
        "Only this program counts; may be given several times. By default all but those of SEC(\"?…\").",
        json!({"type": "string", "minLength": 1, "maxLength": 128}),
    );
    let called = query(
        "name",
        "What the object is called in the answer.",
        json!({"type": "string", "maxLength": 255}),
    );
    paths.insert(
        "/v1/check".to_owned(),
        json!({"post": {
            "summary": "Whether a compiled eBPF object is CO-RE compatible with each kernel that is known here, as `btfleet check -o json` says it.",
            "parameters": [program, called],
            "requestBody": {"required": true, "content": {"application/octet-stream": {"schema": {"type": "string", "contentEncoding": "binary"}}}},
            "responses": answers.of_check(),
        }}),
    );
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "btfleet serve",
            "description": "The exact vmlinux.h of the kernels of a cluster. No byte is sent whose digest was not checked.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": schemas.take_definitions(true)},
    })
}

/// What a route sends when all is well.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sends {
    /// JSON, or a page.
    Json,
    /// Bytes with a digest.
    Blob,
}

struct Answers {
    problem: Value,
}

impl Answers {
    fn of_check(&self) -> Value {
        let report = json!({"application/json": {"schema": {
            "type": "object", "required": ["schema", "verdict", "counts", "kernels"],
            "properties": {
                "schema": {"const": 1},
                "verdict": {"enum": ["resolves", "guarded", "unknown", "fails"]},
                "counts": {"type": "object"}, "kernels": {"type": "array"},
            },
        }}});
        let mut all = self.of(report, Sends::Json);
        let problem = |says: &str| json!({"description": says, "content": {"application/problem+json": self.problem}});
        all["413"] = problem("More was sent than is taken.");
        all["422"] = problem("It is no eBPF object.");
        all
    }

    fn of(&self, content: Value, sends: Sends) -> Value {
        let text = |says: &str| json!({"description": says, "schema": {"type": "string"}});
        let header = |says: &str| json!({"description": says, "schema": {"type": "string"}});
        let problem = |says: &str| json!({"description": says, "content": {"application/problem+json": self.problem}});
        let mut all = Map::new();
        let mut whole = json!({"description": "It.", "content": content});
        if sends == Sends::Blob {
            let headers = json!({
                "ETag": header("sha256:DIGEST, and +zstd or +gzip of what is so coded."),
                "Btfleet-Digest": header("SHA-256 of the bytes before any coding."),
                "Repr-Digest": header("SHA-256 of the bytes as they are sent (RFC 9530)."),
                "Vary": text("Accept-Encoding"),
            });
            whole["headers"] = headers;
            let mut part = whole.clone();
            part["description"] = "The range that was asked for.".into();
            all.insert("206".to_owned(), part);
            let had = json!({"description": "The client has it: If-None-Match names its ETag."});
            all.insert("304".to_owned(), had);
            all.insert("406".to_owned(), problem("No acceptable coding."));
            all.insert("412".to_owned(), problem("If-Match does not hold."));
            all.insert("416".to_owned(), problem("The range is not in the bytes."));
            all.insert("507".to_owned(), problem("Larger than this server holds."));
        }
        all.insert("200".to_owned(), whole);
        all.insert("400".to_owned(), problem("The request makes no sense."));
        all.insert("404".to_owned(), problem("There is no such thing."));
        all.insert("409".to_owned(), problem("Several kernels bear this id."));
        all.insert("502".to_owned(), problem("The store refuses."));
        let mut later = problem("Not now: Retry-After says when to ask again.");
        later["headers"] =
            json!({"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}});
        all.insert("503".to_owned(), later);
        Value::Object(all)
    }
}
