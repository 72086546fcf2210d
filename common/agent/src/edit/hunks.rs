//! Hunks of a patch: whole lines with their context, all of one file, in its order.

use super::lines::{Lines, Window};
use super::nearest::{self, Words};
use super::text::{Hit, Text};
use super::{Applied, EditError, Match, anchors, numbers};

/// Some lines that become others. Where they stand is told by themselves and, when they stand in several places, by the
/// rest.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Hunk {
    /// Lines above it, outer ones first: the class, then the function. `line 12` is a number where no line of the file has it.
    pub anchors: Vec<String>,
    /// About which line of the file it begins at, from 1, before all hunks. It tells equal places apart and does no more.
    pub near_line: Option<usize>,
    /// The lines that stand there, context included.
    pub old: Vec<String>,
    /// The lines that shall stand there, context included.
    pub new: Vec<String>,
    /// How many empty lines at its end may be no part of it.
    pub loose_end: usize,
    /// It reaches to the end of the file.
    pub at_end: bool,
}

/// A place that a hunk fits.
pub(super) struct Place {
    /// The index of its first line in the file.
    pub first: usize,
    /// How many lines of the file it covers.
    pub count: usize,
    pub how: Match,
    /// What is to be done there.
    hit: Hit,
}

/// Makes all `hunks`, or none. Each must fit one place; those that fit several are told apart by their anchors, by the order of
/// the hunks, and by the line that they name; where order and line contradict each other, nothing is done.
///
/// # Errors
/// [`EditError`] for the first that cannot be made, with what would help.
pub(crate) fn apply_hunks(content: &str, hunks: &[Hunk]) -> Result<(String, Vec<Applied>), EditError> {
    let text = Text::parse(content);
    let lines = Lines::of(text.normal());
    let hunks: Vec<Hunk> = hunks.iter().map(|hunk| numbers::told(&lines, hunk)).collect();
    let mut places = Vec::new();
    for (index, hunk) in hunks.iter().enumerate() {
        places.push(candidates(&lines, text.normal(), hunk).map_err(|reason| EditError { no: index + 1, reason })?);
    }
    let named: Vec<Option<usize>> = hunks.iter().zip(&places).map(|(hunk, places)| numbers::named(hunk, places)).collect();
    by_order(&mut places);
    numbers::narrow(&hunks, &named, &mut places)?;
    by_order(&mut places);
    let mut hits: Vec<(usize, Hit)> = Vec::new();
    let mut applied = Vec::new();
    for (index, places) in places.iter().enumerate() {
        let [place] = places.as_slice() else {
            return Err(EditError { no: index + 1, reason: ambiguous(places, hunks[index].near_line) });
        };
        let hit = place.hit.clone();
        applied.push(Applied { line: hit.line, count: 1, how: place.how, became: hit.became(place.how, text.normal()) });
        hits.push((index, hit));
    }
    hits.sort_by_key(|(_, hit)| (hit.range.start, hit.range.end));
    if let Some(pair) = hits.windows(2).find(|pair| pair[0].1.range.end > pair[1].1.range.start) {
        let (a, b) = (pair[0].0.min(pair[1].0) + 1, pair[0].0.max(pair[1].0) + 1);
        return Err(EditError { no: b, reason: format!("it changes lines that hunk {a} changes too; make one hunk of both") });
    }
    let hits: Vec<Hit> = hits.into_iter().map(|(_, hit)| hit).filter(|hit| !hit.changes_nothing()).collect();
    Ok((text.replace(&hits), applied))
}

/// Where a hunk may belong: at least one place.
fn candidates(lines: &Lines<'_>, text: &str, hunk: &Hunk) -> Result<Vec<Place>, String> {
    if hunk.old.is_empty() {
        let first = insertion(lines, hunk)?;
        return Ok(vec![Place { first, count: 0, how: Match::Exact, hit: lines.hit(first, 0, &hunk.new) }]);
    }
    let blocks = anchors::blocks(lines, &hunk.anchors);
    let is_inside = |place: &Place| blocks.iter().any(|block| block.contains(&place.first));
    let fit = |is_wanted: &dyn Fn(&Place) -> bool| {
        (0..=hunk.loose_end).map(|loose| fitting(lines, hunk, loose, is_wanted)).find(|places| !places.is_empty())
    };
    // What is like it where its anchors say comes before what is the same elsewhere.
    let mut places = fit(&is_inside).or_else(|| fit(&|_| true)).unwrap_or_default();
    if places.is_empty() {
        return Err(nearest::explain(text, &hunk.old.join("\n"), &hunk.new.join("\n"), Words::HUNK));
    }
    let total = lines.all().len();
    if hunk.at_end && places.iter().any(|place| place.first + place.count == total) {
        places.retain(|place| place.first + place.count == total);
    }
    if places.iter().any(is_inside) {
        places.retain(is_inside);
    } else if let (Some(place), Some(first)) =
        (places.iter().find(|place| place.how != Match::Exact), blocks.iter().map(|block| block.start).min())
        && place.first < first
    {
        // What is like it elsewhere is not what is meant.
        let line = place.first + 1;
        return Err(format!("what is like it, but not the same, begins at line {line}, above what its @@ names; quote it as it stands"));
    }
    Ok(places)
}

/// The wanted places of a hunk without the last `loose` of its lines, found the strictest way that finds any.
fn fitting(lines: &Lines<'_>, hunk: &Hunk, loose: usize, is_wanted: &dyn Fn(&Place) -> bool) -> Vec<Place> {
    let (old, new) = (texts(&hunk.old, loose), texts(&hunk.new, loose));
    let at = |how: Match| -> Vec<Place> {
        let windows = lines.windows(&old, how);
        let place = |window: &Window<'_>| {
            Some(Place { first: window.first, count: old.len(), how, hit: changed_lines(lines, window, &old, &new)? })
        };
        windows.iter().filter_map(place).filter(is_wanted).collect()
    };
    let all = [Match::Exact, Match::TrailingSpace, Match::Indentation, Match::LookAlikes];
    let mut places = all.into_iter().map(at).find(|places| !places.is_empty()).unwrap_or_default();
    // A hunk that begins at the margin may have lost its indentation on the way: then it means the same lines deeper inside as
    // well as those that it happens to be equal to.
    let is_at_margin = old.iter().any(|line| line.starts_with(|c: char| !c.is_whitespace()));
    if is_at_margin && places.iter().all(|place| place.how <= Match::TrailingSpace) {
        let known: Vec<usize> = places.iter().map(|place| place.first).collect();
        places.extend(at(Match::Indentation).into_iter().filter(|place| !known.contains(&place.first)));
        places.sort_by_key(|place| place.first);
    }
    places
}

/// All lines but the last `loose`.
fn texts(lines: &[String], loose: usize) -> Vec<&str> {
    lines[..lines.len().saturating_sub(loose)].iter().map(String::as_str).collect()
}

/// Where lines go that come without context: the index of the line that they are put before.
fn insertion(lines: &Lines<'_>, hunk: &Hunk) -> Result<usize, String> {
    let total = lines.all().len();
    if hunk.at_end || total == 0 {
        return Ok(total);
    }
    if hunk.anchors.is_empty() {
        // A line number alone does not say it either: lines may have come and gone since it was seen.
        return Err("it only adds lines and does not say where; give some lines around them as context".to_owned());
    }
    match anchors::blocks(lines, &hunk.anchors).as_slice() {
        [block] => Ok(block.start + 1),
        [] => Err("the line after its @@ stands nowhere in the file; give some lines around what it adds as context".to_owned()),
        _ => Err("the line after its @@ stands in several places; give some lines around what it adds as context".to_owned()),
    }
}

/// Hunks come in the file's order: one that fits several places belongs between those before and behind it. As many equal
/// hunks in a row as there are places take one each.
fn by_order(places: &mut [Vec<Place>]) {
    loop {
        let before: usize = places.iter().map(Vec::len).sum();
        for index in 0..places.len() {
            if places[index].len() < 2 {
                continue;
            }
            let above = places[..index].iter().rev().find_map(|places| one(places)).map_or(0, |place| place.first + 1);
            let below = places[index + 1..].iter().find_map(|places| one(places)).map_or(usize::MAX, |place| place.first);
            let fits = |place: &Place| (above..below).contains(&place.first);
            if places[index].iter().any(fits) {
                places[index].retain(fits);
            }
            let alike = places[index..].iter().take_while(|other| same(other, &places[index])).count();
            if alike > 1 && alike == places[index].len() {
                for turn in 0..alike {
                    let own = places[index + turn].swap_remove(turn);
                    places[index + turn] = vec![own];
                }
            }
        }
        if places.iter().map(Vec::len).sum::<usize>() == before {
            return;
        }
    }
}

fn one(places: &[Place]) -> Option<&Place> {
    if let [place] = places { Some(place) } else { None }
}

fn same(a: &[Place], b: &[Place]) -> bool {
    a.iter().map(|place| (place.first, place.count)).eq(b.iter().map(|place| (place.first, place.count)))
}

/// The hunk without its context, so that the contexts of two hunks may overlap.
fn changed_lines(lines: &Lines<'_>, window: &Window<'_>, old: &[&str], new: &[&str]) -> Option<Hit> {
    let merged = lines.merged(window, old, new)?;
    let above = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let below = old[above..].iter().rev().zip(new[above..].iter().rev()).take_while(|(old, new)| old == new).count();
    Some(lines.hit(window.first + above, old.len() - above - below, &merged[above..merged.len() - below]))
}

fn ambiguous(places: &[Place], near_line: Option<usize>) -> String {
    let shown: Vec<String> = places.iter().take(10).map(|place| (place.first + 1).to_string()).collect();
    let more = if places.len() > shown.len() { ", …" } else { "" };
    let (count, shown) = (places.len(), shown.join(", "));
    let help = match near_line {
        Some(line) => format!(", none of which is clearly the one nearest to line {line}; give more lines of context"),
        None => "; give more lines of context, the lines above it after @@, or its line as in `@@ line 120`".to_owned(),
    };
    format!("it fits {count} places (lines {shown}{more}){help}")
}
