//! Definitions as people read them (`relo::view`): every byte of every struct of real kernels is accounted for.

use crate::support::fixtures::fixture;
use btfleet::btf::{Btf, Kind};
use btfleet::relo::view::{Line, What, users, view};

fn text(line: &Line) -> String {
    match &line.what {
        What::Text(spans) | What::Member(spans, _) => {
            spans.iter().map(|s| s.text.as_str()).collect()
        }
        What::Enumerator(name, value) => format!("{name} = {value}"),
        What::Hole(bytes, bits) => format!("hole {bytes}:{bits}"),
        What::CacheLine(n) => format!("cache line {n}"),
    }
}

#[test]
fn members_and_holes_of_a_struct_add_up_to_its_size() {
    for name in [
        "x86_64-6.18",
        "amd64-7.2.13+deb14-amd64",
        "s390x-6.12.107+deb13-s390x",
    ] {
        let blob = fixture(name).btf;
        let btf = Btf::parse(&blob).unwrap();
        let mut structs = 0;
        for ty in btf.types().filter(|ty| ty.kind() == Kind::Struct) {
            let Some(view) = view(&btf, ty.id()) else {
                continue;
            };
            assert!(!view.truncated);
            let (mut end, mut line) = (0, 0);
            for at in view.lines.iter().filter(|line| line.depth == 1) {
                match &at.what {
                    What::Member(_, place) => {
                        assert!(
                            place.offset >= end,
                            "{name}: struct {}: {}",
                            view.name,
                            text(at)
                        );
                        assert_eq!(
                            place.offset,
                            end,
                            "{name}: struct {}: {}",
                            view.name,
                            text(at)
                        );
                        assert!(place.offset / 512 >= line);
                        line = place.offset / 512;
                        end += place.size;
                    }
                    What::Hole(bytes, bits) => end += bytes * 8 + bits,
                    _ => {}
                }
            }
            if ty.members().len() > 0 {
                assert_eq!(
                    end,
                    u64::from(ty.size()) * 8,
                    "{name}: struct {}",
                    view.name
                );
            }
            structs += 1;
        }
        assert!(structs > 5000, "{structs}");
    }
}

#[test]
fn a_definition_reads_as_c_with_its_places() {
    let blob = fixture("x86_64-6.18").btf;
    let btf = Btf::parse(&blob).unwrap();
    let of = |kind: Kind, name: &str| {
        let mut all = btf.types();
        all.find(|ty| ty.kind() == kind && btf.name(ty.name()) == name.as_bytes())
            .unwrap()
            .id()
    };
    let lines = |kind, name| -> Vec<String> {
        let view = view(&btf, of(kind, name)).unwrap();
        view.lines
            .iter()
            .map(|line| format!("{}{}", "\t".repeat(line.depth), text(line)))
            .collect()
    };
    assert_eq!(
        lines(Kind::Struct, "list_head"),
        [
            "struct list_head {",
            "\tstruct list_head *next;",
            "\tstruct list_head *prev;",
            "};"
        ]
    );
    let socket = lines(Kind::Struct, "sk_buff").join("\n");
    for words in [
        "\t\t\tunion {\n\t\t\t\tstruct net_device *dev;\n",
        "\t__u8 cloned:1;",
        "\tchar cb[48];",
        "\t\t\tvoid (*destructor)(struct sk_buff *);",
        "\n\tcache line 1\n",
    ] {
        assert!(socket.contains(words), "{words:?} in {socket}");
    }
    assert_eq!(
        lines(Kind::Typedef, "pid_t"),
        ["typedef __kernel_pid_t pid_t;"]
    );
    let atomic = lines(Kind::Typedef, "atomic_t");
    assert_eq!(
        atomic,
        ["typedef struct {", "\tint counter;", "} atomic_t;"]
    );
    let pids = lines(Kind::Enum, "pid_type");
    assert_eq!(pids[1], "\tPIDTYPE_PID = 0");

    let thread_info = of(Kind::Struct, "thread_info");
    let (found, more) = users(&btf, thread_info, 100);
    let names: Vec<_> = found
        .iter()
        .map(|id| String::from_utf8_lossy(btf.name(btf.ty(*id).name())))
        .collect();
    assert!(!more && names.contains(&"task_struct".into()), "{names:?}");
    assert!(users(&btf, of(Kind::Struct, "list_head"), 5).1);
}
