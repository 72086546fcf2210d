//! The list of fail points and the places in the code are the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use failpoints::Point;
use strum::VariantArray;

#[test]
fn every_fail_point_is_at_exactly_one_place_in_the_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for folder in ["handlers", "runtime", "common"] {
        visit(&root.join(folder), &mut |source| {
            for call in source.split("fail_point!(").skip(1) {
                let name = call.split(')').next().unwrap();
                *places.entry(name.to_owned()).or_default() += 1;
            }
        });
    }
    // The macro's own example.
    *places.get_mut("AfterReply").unwrap() -= 2;
    let listed: BTreeSet<String> = Point::VARIANTS.iter().map(|point| format!("{point:?}")).collect();
    assert_eq!(places.keys().cloned().collect::<BTreeSet<_>>(), listed);
    let twice: Vec<_> = places.iter().filter(|(_, count)| **count != 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

fn visit(folder: &Path, see: &mut impl FnMut(&str)) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            visit(&path, see);
        } else if path.extension().is_some_and(|end| end == "rs") {
            see(&std::fs::read_to_string(&path).unwrap());
        }
    }
}
