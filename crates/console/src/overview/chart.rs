//! A chart as an image, and its figures as a table.

use std::rc::Rc;

use actix_web::HttpResponse;
use maud::{Markup, html};

use super::figures::{Chart, Point};
use crate::refusal::Refusal;
use crate::visit::Visit;
use crate::{respond, texts};

const WIDTH: u64 = 640;
const HEIGHT: u64 = 180;

/// The space above and below the bars.
const MARGIN: u64 = 26;

/// An image has styles of its own: those of the page do not reach it.
const STYLE: &str = "text { font: 13px system-ui, sans-serif; fill: #555d6b } rect { fill: #2450c4 } line { stroke: #767d8a } \
     @media (prefers-color-scheme: dark) { text { fill: #a3abb8 } rect { fill: #8fb0ff } line { stroke: #8a92a0 } }";

/// `GET /console/{environment}/charts/{id}.svg`
pub(crate) async fn image(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let chart = Chart::named(visit.id()?).ok_or(Refusal::NotFound)?;
    let points = chart.points(&visit).await?;
    Ok(respond::image(draw(chart, &points)))
}

/// `GET /console/{environment}/charts/{id}`
pub(crate) async fn table(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    let chart = Chart::named(visit.id()?).ok_or(Refusal::NotFound)?;
    let points = chart.points(&visit).await?;
    let body = html! {
        h1 { (chart.title()) }
        p { a href=(visit.path("")) { (texts::OVERVIEW) } }
        table {
            thead { tr { th scope="col" { (texts::TIME) " (UTC)" } th scope="col" { (texts::VALUE) } } }
            tbody {
                @for point in points.iter().rev() { tr { th scope="row" { (point.label) } td { (chart.shown(point)) } } }
            }
        }
    };
    Ok(visit.page(200, chart.title(), &body))
}

/// A chart with a bar for each point. Elements without content are closed: the image is XML.
fn draw(chart: Chart, points: &[Point]) -> Markup {
    let highest = points.iter().max_by_key(|point| point.value);
    let top = highest.map_or(0, |point| point.value).max(1);
    let room = HEIGHT - 2 * MARGIN;
    let step = WIDTH / u64::try_from(points.len()).unwrap_or(1).max(1);
    let highest_text = highest.map(|point| texts::highest(&chart.shown(point), &point.label)).unwrap_or_default();
    let (first, last) = (points.first(), points.last());
    html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } width=(WIDTH) height=(HEIGHT) role="img"
            aria-labelledby="title description" {
            title id="title" { (chart.title()) }
            desc id="description" { (highest_text) }
            style { (STYLE) }
            text x="0" y="16" { (highest_text) }
            @for (place, point) in (0u64..).zip(points) {
                @let height = (point.value.saturating_mul(room) / top).max(u64::from(point.value > 0));
                rect x=(place * step) y=(HEIGHT - MARGIN - height) width=(step.saturating_sub(2).max(1)) height=(height) {}
            }
            line x1="0" y1=(HEIGHT - MARGIN) x2=(WIDTH) y2=(HEIGHT - MARGIN) {}
            @if let Some(first) = first { text x="0" y=(HEIGHT - 8) { (first.label) } }
            @if let Some(last) = last { text x=(WIDTH) y=(HEIGHT - 8) text-anchor="end" { (last.label) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(label: &str, value: u64) -> Point {
        Point { label: label.to_owned(), value, is_more: false }
    }

    #[test]
    fn bars_are_as_high_as_their_values_and_the_highest_is_named() {
        let points = [point("2026-11-01", 0), point("2026-11-02", 64), point("2026-11-03", 1)];
        let image = draw(Chart::Customers, &points).into_string();
        for expected in [r#"height="0""#, r#"height="128""#, r#"height="2""#, "64", "2026-11-02", "<title", "<desc"] {
            assert!(image.contains(expected), "{expected}: {image}");
        }
        assert_eq!(image.matches("<rect").count(), image.matches("</rect>").count());
    }

    #[test]
    fn a_chart_without_figures_is_empty() {
        let image = draw(Chart::Requests, &[]).into_string();
        assert!(!image.contains("<rect") && image.contains("</svg>"), "{image}");
        let image = draw(Chart::Requests, &[point("12:00", 0)]).into_string();
        assert!(image.contains(r#"height="0""#), "{image}");
    }

    #[test]
    fn values_have_units() {
        assert_eq!(Chart::Requests.shown(&point("", 90)), "1.5/s");
        assert_eq!(Chart::Durations.shown(&point("", 1_250)), "1.2 ms");
        assert_eq!(Chart::Customers.shown(&Point { is_more: true, ..point("", 10_000) }), "10000+");
    }
}
