//! Findings of data care as one HTML file with its pictures in it, without scripts.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::care::{group_line, groups_title, label_line, labels_title, thumbnail, unlike_line, unlike_title};
use super::sheet::{SheetError, png};
use super::text::shown;
use crate::care::{Findings, ImageName};
use crate::data::Dataset;

/// Largest side of a picture in pixels.
const SIDE: usize = 128;

/// Findings of each kind that are shown with pictures, and pictures of each; the JSON report has all.
const FINDINGS_MAX: usize = 100;
const PICTURES_MAX: usize = 12;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:1rem auto;max-width:60rem;padding:0 1rem;color:#222;background:#fff}\
    figure{display:inline-block;margin:0 .5rem .5rem 0;width:128px;vertical-align:top}\
    img{max-width:100%}figcaption,.line{font-size:.8rem;overflow-wrap:anywhere}\
    .finding{border-top:1px solid #ccc;padding:.5rem 0}";

/// `findings` as HTML, the first 100 of each kind with pictures.
///
/// # Errors
/// When an image can no longer be read.
pub fn html(findings: &Findings, dataset: &Dataset) -> Result<String, SheetError> {
    let mut page = Page { text: String::new(), dataset };
    let name = escape(&findings.dataset);
    page.add(format_args!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{name}: data report</title><style>{STYLE}</style></head><body><h1>{name}</h1>\
         <p>{} images, compared by features of {}. {}</p>",
        findings.images,
        escape(&findings.encoder),
        match findings.splits_are_made {
            true => "The dataset names no splits: train and test are those that pretrain and eval make.",
            false => "",
        }
    ));
    let groups = findings.near_duplicates.iter();
    let groups = groups.map(|group| (group_line(group), group.images.iter().collect()));
    page.section(&groups_title(findings), groups)?;
    let labels = findings.labels.iter().flat_map(|labels| &labels.suspicious);
    page.section(&labels_title(findings), labels.map(|found| (label_line(found), vec![&found.image])))?;
    let unlike = findings.unlike.images.iter();
    page.section(
        &unlike_title(findings),
        unlike.map(|found| (unlike_line(found), vec![&found.image, &found.nearest])),
    )?;
    page.add(format_args!("</body></html>\n"));
    Ok(page.text)
}

struct Page<'a> {
    text: String,
    dataset: &'a Dataset,
}

impl Page<'_> {
    fn add(&mut self, text: std::fmt::Arguments<'_>) {
        self.text.write_fmt(text).expect("memory takes text");
    }

    /// A heading and findings, each a line and its images.
    fn section<'f>(
        &mut self,
        title: &str,
        findings: impl Iterator<Item = (String, Vec<&'f ImageName>)>,
    ) -> Result<(), SheetError> {
        self.add(format_args!("<h2>{}</h2>", escape(title)));
        let mut left_out = 0;
        for (number, (line, images)) in findings.enumerate() {
            if number >= FINDINGS_MAX {
                left_out += 1;
                continue;
            }
            self.add(format_args!("<div class=\"finding\"><p class=\"line\">{}</p>", escape(&line)));
            images.iter().take(PICTURES_MAX).try_for_each(|image| self.picture(image))?;
            self.add(format_args!("</div>"));
        }
        if left_out > 0 {
            self.add(format_args!("<p>and {left_out} more, all in the JSON report</p>"));
        }
        Ok(())
    }

    fn picture(&mut self, image: &ImageName) -> Result<(), SheetError> {
        let thumbnail = thumbnail(self.dataset, image.index, SIDE)?;
        let bytes = png(&thumbnail).map_err(|source| SheetError::Encode { path: image.name.clone(), source })?;
        let (name, class) = (escape(&image.name), escape(image.class.as_deref().unwrap_or("no label")));
        self.add(format_args!(
            "<figure><img alt=\"{name}\" src=\"data:image/png;base64,{}\"><figcaption>{class}</figcaption></figure>",
            BASE64_STANDARD.encode(bytes)
        ));
        Ok(())
    }
}

/// `text` for the content of an element or a quoted attribute.
fn escape(text: &str) -> String {
    let safe = shown(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    safe.replace('"', "&quot;").replace('\'', "&#39;")
}
