//! Findings of data care as one HTML file with its pictures in it.

use super::care::{group_line, groups_title, label_line, labels_title, thumbnail, unlike_line, unlike_title};
use super::html::{Document, Html, note, picture, png_uri, text};
use super::sheet::{SheetError, png};
use crate::care::{Findings, ImageName};
use crate::data::Dataset;

/// Largest side of a picture in pixels.
const SIDE: usize = 128;

/// Findings of each kind that are shown with pictures, and pictures of each; the JSON report has all.
const FINDINGS_MAX: usize = 100;
const PICTURES_MAX: usize = 12;

/// `findings` as HTML, the first 100 of each kind with pictures.
///
/// # Errors
/// When an image can no longer be read.
pub fn html(findings: &Findings, dataset: &Dataset) -> Result<String, SheetError> {
    let splits = match findings.splits_are_made {
        true => " The dataset names no splits: train and test are those that pretrain and eval make.",
        false => "",
    };
    let lead = format!("{} images, compared by features of {}.{splits}", findings.images, findings.encoder);
    let warning = "This file contains images of the dataset. Treat it as you treat the images themselves.";
    let lead = text(&lead).then(note(warning));
    let mut document = Document::new(&format!("{}: data report", findings.dataset), lead);
    let groups = findings.near_duplicates.iter();
    let groups = groups.map(|group| (group_line(group), group.images.iter().collect()));
    document.section(&groups_title(findings), section(dataset, groups)?);
    let labels = findings.labels.iter().flat_map(|labels| &labels.suspicious);
    let labels = labels.map(|found| (label_line(found), vec![&found.image]));
    document.section(&labels_title(findings), section(dataset, labels)?);
    let unlike = findings.unlike.images.iter();
    let unlike = unlike.map(|found| (unlike_line(found), vec![&found.image, &found.nearest]));
    document.section(&unlike_title(findings), section(dataset, unlike)?);
    Ok(document.html())
}

/// Findings, each a line and its images.
fn section<'a>(
    dataset: &Dataset,
    findings: impl Iterator<Item = (String, Vec<&'a ImageName>)>,
) -> Result<Html, SheetError> {
    let findings: Vec<_> = findings.collect();
    let mut html = if findings.is_empty() { text("None found.") } else { Html::default() };
    for (line, images) in findings.iter().take(FINDINGS_MAX) {
        let mut pictures = Html::default();
        for image in images.iter().take(PICTURES_MAX) {
            pictures = pictures.then(shown_image(dataset, image)?);
        }
        html = html.then(text(line)).then(pictures.in_row());
    }
    Ok(match findings.len().saturating_sub(FINDINGS_MAX) {
        0 => html,
        more => html.then(text(&format!("{more} more are in the JSON report."))),
    })
}

fn shown_image(dataset: &Dataset, image: &ImageName) -> Result<Html, SheetError> {
    let thumbnail = thumbnail(dataset, image.index, SIDE)?;
    let bytes = png(&thumbnail).map_err(|source| SheetError::Encode { path: image.name.clone(), source })?;
    let class = image.class.as_deref().unwrap_or("no label");
    Ok(picture(&image.name, class, &png_uri(&bytes), thumbnail.width))
}
