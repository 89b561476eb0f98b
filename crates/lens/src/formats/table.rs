//! The table: a row for each method, level and position.

use std::path::Path;

use onejump_store::analyses::write_rows;
use onejump_store::lens::LensRow;

use crate::LensError;
use crate::lens::{Lens, Method};

pub fn write(lens: &Lens, path: &Path) -> Result<(), LensError> {
    let rows: Vec<LensRow> = lens.methods.iter().flat_map(|method| rows(lens, method)).collect();
    Ok(write_rows(path, &rows)?)
}

fn rows<'a>(lens: &'a Lens, method: &'a Method) -> impl Iterator<Item = LensRow> + 'a {
    let (words, ways) = (&lens.words, lens.ways(method));
    let file = method.path.as_ref().map(|path| path.display().to_string());
    let row = move |level: usize, place: usize| {
        let (cell, column, way) = (&method.cells[level][place], &lens.columns[place], ways[place]);
        let answer = cell.answer();
        LensRow {
            method: method.title.clone(),
            file: file.clone(),
            level: lens.levels[level] as u32,
            position: column.position as u32,
            input_id: column.token,
            input: words.text(column.token),
            token_id: answer.token,
            token: words.text(answer.token),
            probability: answer.probability,
            top_ids: cell.best.iter().map(|best| best.token).collect(),
            top_tokens: cell.best.iter().map(|best| words.text(best.token)).collect(),
            top_probabilities: cell.best.iter().map(|best| best.probability).collect(),
            true_id: column.answer,
            true_token: words.text(column.answer),
            surprisal: cell.surprisal,
            rank: cell.rank as u32,
            kl: cell.kl,
            next_id: column.next,
            next: column.next.map(|next| words.text(next)),
            next_probability: cell.next,
            stays_from: way.stays_from as u32,
            exit_level: way.exit as u32,
            threshold: lens.threshold,
        }
    };
    let places =
        (0..lens.levels.len()).flat_map(|level| (0..lens.columns.len()).map(move |place| (level, place)));
    places.map(move |(level, place)| row(level, place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::lens;
    use onejump_store::analyses::read_rows;

    #[test]
    fn the_table_has_a_row_for_each_method_level_and_position() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lens.parquet");
        write(&lens(&[[(2, 0.5), (1, 0.95)], [(1, 0.6), (1, 0.9)]]), &path).unwrap();
        let rows: Vec<LensRow> = read_rows(&path).unwrap().unwrap();
        assert_eq!(rows.len(), 2 * 2 * 2);
        let expected = LensRow {
            method: "ojfa (jump 3, rank 2)".into(),
            file: Some("runs/ojfa.safetensors".into()),
            level: 0,
            position: 4,
            input_id: 10,
            input: "#10".into(),
            token_id: 2,
            token: "#2".into(),
            probability: 0.5,
            top_ids: vec![2, 3, 4],
            top_tokens: vec!["#2".into(), "#3".into(), "#4".into()],
            top_probabilities: vec![0.5, 0.25, 0.25],
            true_id: 1,
            true_token: "#1".into(),
            surprisal: 3.0,
            rank: 7,
            kl: None,
            next_id: Some(11),
            next: Some("#11".into()),
            next_probability: Some(0.25),
            stays_from: 1,
            exit_level: 1,
            threshold: 0.9,
        };
        assert_eq!(rows[4], expected);
        assert_eq!((rows[5].exit_level, rows[5].next_id, &rows[0].file), (0, None, &None));
    }
}
