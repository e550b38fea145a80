//! Plots the throughput as SVG.

use std::fmt::Write as _;

use crate::database::Kind;
use crate::plan::Target;
use crate::reading::Reading;
use crate::text::grouped;
use crate::throughput::Results;
use crate::workload::Operation;

const PANEL: (f64, f64) = (330.0, 230.0);
const MARGIN: (f64, f64) = (62.0, 34.0);
const COLUMNS: usize = 3;

/// The lines of a panel, with their colours.
const LINES: [(Target, &str); 3] = [
    (Target::Service(Kind::Postgres), "#2563a8"),
    (Target::Service(Kind::Sqlite), "#c2571a"),
    (Target::Pgbench, "#666666"),
];

/// Requests per second by number of connections, with a panel for each operation.
pub fn throughput(results: &Results) -> String {
    let mut operations: Vec<Operation> = results.plan.cells.iter().map(|cell| cell.operation).collect();
    operations.sort();
    operations.dedup();
    operations.retain(|operation| {
        !matches!(
            operation,
            Operation::Live
                | Operation::ListLargest
                | Operation::CreateBatch
                | Operation::ReadFeed
                | Operation::Deliver
                | Operation::Stream
                | Operation::CreateOnTwo
                | Operation::CreateInOne
                | Operation::CreateInOneOnTwo
        )
    });
    let (width, height) = (PANEL.0 * steps(COLUMNS), PANEL.1 * steps(operations.len().div_ceil(COLUMNS)) + MARGIN.1);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (index, (target, colour)) in LINES.into_iter().enumerate() {
        let x = MARGIN.0 + 130.0 * steps(index);
        let name = target.description();
        let _ = writeln!(svg, "<text x=\"{x}\" y=\"20\" fill=\"{colour}\">● {name}</text>");
    }
    for (index, operation) in operations.into_iter().enumerate() {
        let (x, y) = (PANEL.0 * steps(index % COLUMNS), PANEL.1 * steps(index / COLUMNS) + MARGIN.1);
        let _ = writeln!(svg, "<g transform=\"translate({x} {y})\">\n{}</g>", panel(results, operation));
    }
    svg.push_str("</svg>\n");
    svg
}

/// The panel of one operation: the range of requests per second, with a line through the medians.
fn panel(results: &Results, operation: Operation) -> String {
    let mut connections: Vec<u32> = results.plan.cells.iter().map(|cell| cell.connections).collect();
    connections.sort_unstable();
    connections.dedup();
    let top = LINES.iter().flat_map(|(target, _)| points(results, *target, operation, &connections));
    let top = round_up(top.map(|point| point.most).fold(1.0, f64::max));
    let (left, bottom) = (MARGIN.0, PANEL.1 - MARGIN.1);
    let (wide, high) = (PANEL.0 - left - 20.0, bottom - 26.0);
    let x = |index: usize| left + wide * (steps(index) + 0.5) / steps(connections.len());
    let y = |rate: f64| bottom - high * rate / top;
    let mut svg = format!("<text x=\"{left}\" y=\"14\" font-weight=\"bold\">{}, per second</text>\n", operation.name());
    for quarter in 0..=4 {
        let rate = top * f64::from(quarter) / 4.0;
        let _ = writeln!(
            svg,
            "<path d=\"M{left} {y:.1}h{wide}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 6.0,
            y(rate) + 4.0,
            grouped(rate),
            y = y(rate),
        );
    }
    for (index, number) in connections.iter().enumerate() {
        let (x, y) = (x(index), bottom + 15.0);
        let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{number}</text>");
    }
    for (target, colour) in LINES {
        let points = points(results, target, operation, &connections);
        let line: Vec<_> = points.iter().map(|point| format!("{:.1},{:.1}", x(point.index), y(point.median))).collect();
        let _ = writeln!(svg, "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\"/>", line.join(" "));
        for point in &points {
            let _ = writeln!(
                svg,
                "<path d=\"M{x:.1} {:.1}V{:.1}\" stroke=\"{colour}\"/><circle cx=\"{x:.1}\" cy=\"{:.1}\" r=\"3\" \
                 fill=\"{colour}\"/>",
                y(point.least),
                y(point.most),
                y(point.median),
                x = x(point.index),
            );
        }
    }
    svg
}

/// The results for one number of connections.
struct Point {
    /// The index of this number among all numbers of connections.
    index: usize,
    median: f64,
    least: f64,
    most: f64,
}

fn points(results: &Results, target: Target, operation: Operation, connections: &[u32]) -> Vec<Point> {
    let rate = |reading: &Reading| reading.per_second;
    let point = |(index, connections): (usize, &u32)| {
        let series = results.series(target, operation, *connections)?;
        let (least, most) = series.range(rate);
        Some(Point { index, median: series.median(rate), least, most })
    };
    connections.iter().enumerate().filter_map(point).collect()
}

/// The next round number above `number`, with marks at its quarters.
fn round_up(number: f64) -> f64 {
    let power = 10_f64.powf(number.log10().floor());
    [1.0, 2.0, 4.0, 6.0, 8.0, 10.0]
        .into_iter()
        .map(|digit| digit * power)
        .find(|round| *round >= number)
        .unwrap_or(number)
}

#[expect(clippy::cast_precision_loss, reason = "there are few panels, lines and points")]
fn steps(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_a_round_number_above_its_values() {
        let ends = [1.0, 3.0, 41_000.0, 99_000.0].map(|number| format!("{:.0}", round_up(number)));
        assert_eq!(ends, ["1", "4", "60000", "100000"]);
    }
}
