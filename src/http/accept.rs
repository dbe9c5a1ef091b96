//! What a client wants back, from its `Accept` (RFC 9110, section 12.5.1).
use axum::http::{HeaderMap, header};

use super::problem::{Code, Problem};

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";
const PROBLEM_JSON: &str = "application/problem+json";
/// Raw answers, in the order in which a wildcard prefers them.
const IMAGES: [(&str, &str); 3] = [
    ("image/png", "png"),
    ("image/jpeg", "jpeg"),
    ("image/webp", "webp"),
];

/// Form of an edit's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Json,
    /// Server-sent events while the edit runs.
    Events,
    /// The bytes of one image; `png`, `jpeg` or `webp`.
    Raw(&'static str),
}

/// One media range.
#[derive(Debug)]
struct Range {
    name: String,
    quality: f32,
}

impl Range {
    /// How exactly the range names a media type; `None` if it does not.
    fn specificity(&self, media_type: &str) -> Option<u8> {
        let main = media_type.split('/').next().unwrap_or_default();
        if self.name == media_type {
            Some(2)
        } else if self.name.strip_suffix("/*") == Some(main) {
            Some(1)
        } else if self.name == "*/*" {
            Some(0)
        } else {
            None
        }
    }
}

/// The `Accept` of a request; one that is absent takes anything.
#[derive(Debug)]
pub struct Accept(Vec<Range>);

impl Accept {
    pub fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::ACCEPT).iter();
        let ranges = values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(range);
        let mut ranges: Vec<Range> = ranges.collect();
        if ranges.is_empty() {
            ranges.push(Range {
                name: "*/*".into(),
                quality: 1.0,
            });
        }
        Self(ranges)
    }

    /// Whether a problem goes out as `application/problem+json`: only where it is named.
    pub fn wants_problem_json(&self) -> bool {
        let quality = |name| {
            let named = self.0.iter().filter(|range| range.name == name);
            named.map(|range| range.quality).fold(0.0, f32::max)
        };
        quality(PROBLEM_JSON) > 0.0 && quality(PROBLEM_JSON) >= quality(JSON)
    }

    /// The form of the answer; `format` is what the request's own field asks for.
    ///
    /// # Errors
    /// Nothing that `Accept` names can be produced, or not in that format.
    pub fn wanted(&self, format: Option<&str>) -> Result<Wanted, Problem> {
        let json = std::iter::once((JSON, Wanted::Json));
        let images = IMAGES
            .into_iter()
            .filter(|(_, name)| format.is_none_or(|format| format == *name));
        let events = std::iter::once((EVENTS, Wanted::Events));
        let candidates = json
            .chain(events)
            .chain(images.map(|(media_type, name)| (media_type, Wanted::Raw(name))));
        let mut best: Option<((f32, u8, usize), Wanted)> = None;
        for (media_type, wanted) in candidates {
            let Some(rank) = self.rank(media_type) else {
                continue;
            };
            if best.is_none_or(|(best, _)| rank > best) {
                best = Some((rank, wanted));
            }
        }
        match best {
            Some((_, wanted)) => Ok(wanted),
            None if self.wants_problem_json() => Ok(Wanted::Json),
            None => Err(Problem::new(Code::NotAcceptable, refusal(format))),
        }
    }

    /// Quality, specificity and how early it is named; `None` if it is not acceptable.
    fn rank(&self, media_type: &str) -> Option<(f32, u8, usize)> {
        let matches = self.0.iter().enumerate().filter_map(|(index, range)| {
            Some((
                range.specificity(media_type)?,
                self.0.len() - index,
                range.quality,
            ))
        });
        // The most specific range decides on the quality.
        let (specificity, early, quality) = matches.max_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)))?;
        (quality > 0.0).then_some((quality, specificity, early))
    }
}

fn range(text: &str) -> Option<Range> {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next()?.to_ascii_lowercase();
    let quality =
        parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let quality = quality
        .and_then(|quality| quality.parse().ok())
        .filter(|quality| (0.0..=1.0).contains(quality));
    name.contains('/').then(|| Range {
        name,
        quality: quality.unwrap_or(1.0),
    })
}

fn refusal(format: Option<&str>) -> String {
    match format {
        Some(format) => {
            format!(
                "Accept does not take {format}, which output_format asks for: let both name the same, or leave one out."
            )
        }
        None => {
            "Ask for application/json, text/event-stream, image/png, image/jpeg or image/webp in Accept.".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(value: &str) -> Accept {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, value.parse().unwrap());
        Accept::of(&headers)
    }

    #[test]
    fn the_form_follows_quality_then_specificity_then_order() {
        use Wanted::{Events, Json, Raw};
        for (value, expected) in [
            ("", Json),
            ("*/*", Json),
            ("application/json", Json),
            ("application/*", Json),
            ("application/json, text/plain, */*", Json),
            ("image/png", Raw("png")),
            ("IMAGE/WEBP", Raw("webp")),
            ("image/*", Raw("png")),
            ("image/avif,image/webp,image/*,*/*;q=0.8", Raw("webp")),
            ("image/png, */*", Raw("png")),
            ("image/png;q=0.5, application/json", Json),
            ("image/jpeg, image/png", Raw("jpeg")),
            ("text/event-stream", Events),
            ("text/event-stream, */*;q=0.1", Events),
            ("application/problem+json", Json),
            ("image/png;q=0, */*", Json),
        ] {
            assert_eq!(accept(value).wanted(None).unwrap(), expected, "{value}");
        }
        assert_eq!(Accept::of(&HeaderMap::new()).wanted(None).unwrap(), Json);
    }

    #[test]
    fn what_cannot_be_produced_is_refused() {
        for value in [
            "text/html",
            "image/gif",
            "image/avif;q=1",
            "application/json;q=0",
        ] {
            assert_eq!(
                accept(value).wanted(None).unwrap_err().code(),
                Code::NotAcceptable,
                "{value}"
            );
        }
    }

    #[test]
    fn the_format_field_and_accept_must_agree() {
        assert_eq!(
            accept("image/*").wanted(Some("webp")).unwrap(),
            Wanted::Raw("webp")
        );
        assert_eq!(accept("*/*").wanted(Some("webp")).unwrap(), Wanted::Json);
        assert!(accept("image/png").wanted(Some("webp")).is_err());
    }

    #[test]
    fn problem_json_is_sent_where_it_is_named() {
        for (value, expected) in [
            ("*/*", false),
            ("application/json", false),
            ("application/problem+json", true),
            ("application/problem+json, application/json", true),
            ("application/problem+json;q=0.5, application/json", false),
            ("image/png, application/problem+json;q=0.1", true),
        ] {
            assert_eq!(accept(value).wants_problem_json(), expected, "{value}");
        }
    }
}
