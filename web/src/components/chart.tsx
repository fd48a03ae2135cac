import 'uplot/dist/uPlot.min.css';
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { theme } from '../base/theme.ts';
import { timeLabels } from './time-axis.ts';

export interface Line {
  readonly name: string;
  /** A colour of the dashboard: the name of a custom property. */
  readonly colour: string;
  readonly values: readonly (number | null)[];
  readonly kind?: 'line' | 'area' | 'bars' | 'dashed' | 'steps';
  /** `right`: on an axis of its own at the right. */
  readonly axis?: 'left' | 'right';
}

export interface ChartProps {
  /** What it shows, for who does not see it. */
  readonly label: string;
  readonly x: readonly number[];
  /** `time`: s since 1970. */
  readonly xKind: 'time' | 'number';
  readonly xText?: (x: number) => string;
  /** How much of x is shown at least, up to the last one. */
  readonly xSpan?: number;
  /** What is left free before the first and after the last x, which are whole numbers then: of bars, which have a width. */
  readonly xPad?: number;
  /** Both axes are of bytes or bytes/s. */
  readonly isBytes?: boolean;
  readonly lines: readonly Line[];
  readonly text: (value: number) => string;
  readonly rightText?: (value: number) => string;
  /** The top of the left axis, where it is always the same. */
  readonly most?: number;
  /** The same of the right one, which then is of no bytes. */
  readonly rightMost?: number;
  readonly height?: number;
  /** Vertical lines with words, at values of x. */
  readonly marks?: readonly { readonly x: number; readonly words: string }[];
}

/** A chart that grows with its values; drawn on a canvas, said as a table for who does not see it. */
export function Chart(parts: ChartProps) {
  const { label, lines, x, text, rightText = text, xText } = parts;
  const place = useRef<HTMLDivElement>(null);
  const drawn = useRef<uPlot>(undefined);
  const latest = useRef(parts);
  latest.current = parts;
  const names = lines.map(({ name, kind, axis }) => `${name}${kind}${axis}`).join();
  const colours = theme.value;
  useEffect(() => {
    const { current } = place;
    if (current === null) return undefined;
    const chart = new uPlot(optionsFor(latest, current), dataOf(latest.current), current);
    drawn.current = chart;
    const observer = new ResizeObserver(() =>
      chart.setSize({ width: current.clientWidth, height: latest.current.height ?? 180 }),
    );
    observer.observe(current);
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const redraw = (): void => chart.redraw(false, true);
    dark.addEventListener('change', redraw);
    return () => {
      dark.removeEventListener('change', redraw);
      observer.disconnect();
      chart.destroy();
      drawn.current = undefined;
    };
  }, [names, colours]);
  useEffect(() => drawn.current?.setData(dataOf(parts)), [lines, x]);
  const last = x.length - 1;
  return (
    <figure class="chart">
      <ul class="legend" aria-hidden="true">
        {lines.map((line) => (
          <li key={line.name}>
            <i class={line.kind ?? 'line'} style={{ color: `var(${line.colour})` }} />
            {line.name}{' '}
            <b class="number">
              {valueText(line.values[last], line.axis === 'right' ? rightText : text)}
            </b>
          </li>
        ))}
      </ul>
      <div ref={place} class="plot" aria-hidden="true" />
      <figcaption class="hidden">
        {label}.{' '}
        {last < 0
          ? 'No measurements yet.'
          : `At ${xText?.(x[last] ?? 0) ?? 'the end'}: ${lines
              .map(
                (line) =>
                  `${line.name} ${valueText(line.values[last], line.axis === 'right' ? rightText : text)}`,
              )
              .join(', ')}.`}
      </figcaption>
    </figure>
  );
}

function valueText(value: number | null | undefined, text: (value: number) => string): string {
  return value === null || value === undefined ? '–' : text(value);
}

function dataOf({ x, lines }: ChartProps): uPlot.AlignedData {
  return [[...x], ...lines.map(({ values }) => [...values])];
}

const colourOf = (name: string): string =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** `light-dark(...)` is worked out by the browser, not by a canvas. */
function paint(place: HTMLElement, name: string, alpha = 1): string {
  const probe = document.createElement('i');
  probe.style.color = `color-mix(in srgb, var(${name}) ${alpha * 100}%, transparent)`;
  place.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color === '' ? colourOf(name) : color;
}

/** Steps of an axis of bytes: 8 GiB, not 9.31. */
const POWERS_OF_TWO = Array.from({ length: 54 }, (_, power) => 2 ** power);

function optionsFor(latest: { current: ChartProps }, place: HTMLElement): uPlot.Options {
  const { lines, xKind, xSpan, xPad, isBytes = false, height = 180 } = latest.current;
  const axis: uPlot.Axis = {
    stroke: () => paint(place, '--soft'),
    grid: { stroke: () => paint(place, '--line'), width: 1 },
    ticks: { show: false },
    font: '11px Inter, system-ui, sans-serif',
  };
  const hasRight = lines.some((line) => line.axis === 'right');
  return {
    width: Math.max(100, place.clientWidth),
    height,
    padding: [8, hasRight ? 0 : 16, 0, 0],
    legend: { show: false },
    cursor: { points: { size: 6 }, drag: { x: false, y: false } },
    scales: {
      x: {
        time: xKind === 'time',
        ...(xPad === undefined
          ? {}
          : {
              range: (_chart, low, high): uPlot.Range.MinMax => [low - xPad, high + xPad],
            }),
        ...(xSpan === undefined
          ? {}
          : {
              // Of the values: around one alone, the chart would show years.
              range: (_chart, low, high): uPlot.Range.MinMax => {
                const { x, xSpan: least = 0 } = latest.current;
                const last = x.at(-1) ?? high;
                return [Math.min(x[0] ?? low, last - least), last];
              },
            }),
      },
      left: {
        range: (_chart, _low, high) => [0, latest.current.most ?? Math.max(high * 1.08, 1e-9)],
      },
      right: {
        range: (_chart, _low, high) => [0, latest.current.rightMost ?? Math.max(high * 1.08, 1e-9)],
      },
    },
    axes: [
      {
        ...axis,
        size: xKind === 'time' ? 44 : 28,
        ...(xPad === undefined ? {} : { incrs: [1, 2, 5, 10, 20, 50, 100, 1000] }),
        values: (_chart, splits, _axis, _space, step) =>
          xKind === 'time'
            ? timeLabels(splits, step)
            : withoutRepeats(splits.map((each) => latest.current.xText?.(each) ?? String(each))),
      },
      {
        ...axis,
        scale: 'left',
        size: 64,
        ...(isBytes ? { incrs: POWERS_OF_TWO } : {}),
        values: (_chart, splits) => splits.map((each) => latest.current.text(each)),
      },
      ...(hasRight
        ? [
            {
              ...axis,
              scale: 'right',
              side: 1 as const,
              size: latest.current.rightMost === undefined ? 70 : 48,
              ...(isBytes && latest.current.rightMost === undefined
                ? { incrs: POWERS_OF_TWO }
                : {}),
              grid: { show: false },
              values: (_chart: uPlot, splits: number[]) =>
                splits.map((each) => (latest.current.rightText ?? latest.current.text)(each)),
            },
          ]
        : []),
    ],
    series: [{}, ...lines.map((line, at) => seriesOf(line, at, place))],
    hooks: { draw: [(chart) => drawMarks(chart, latest.current.marks ?? [], place)] },
  };
}

/** Where steps are finer than their words, each word is said once. */
const withoutRepeats = (labels: readonly string[]): string[] =>
  labels.map((label, at) => (label === labels[at - 1] ? '' : label));

function seriesOf(line: Line, at: number, place: HTMLElement): uPlot.Series {
  const { kind = 'line', colour, name, axis = 'left' } = line;
  const { bars, stepped } = uPlot.paths;
  const paths =
    kind === 'bars'
      ? bars?.({ size: [0.38, 26], align: at % 2 === 0 ? -1 : 1, gap: 1 })
      : kind === 'steps'
        ? stepped?.({ align: -1 })
        : undefined;
  return {
    label: name,
    scale: axis,
    stroke: () => paint(place, colour),
    width: kind === 'bars' ? 0 : 1.75,
    // One point alone makes no line.
    points: { show: (chart) => chart.data[0].length === 1, size: 5 },
    ...(kind === 'area' ? { fill: () => paint(place, colour, 0.14) } : {}),
    ...(kind === 'bars' ? { fill: () => paint(place, colour, 0.55) } : {}),
    ...(kind === 'dashed' ? { dash: [5, 4] } : {}),
    ...(paths === undefined ? {} : { paths }),
  };
}

function drawMarks(chart: uPlot, marks: readonly { x: number }[], place: HTMLElement): void {
  if (marks.length === 0) return;
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.strokeStyle = paint(place, '--text', 0.55);
  ctx.setLineDash([2, 3]);
  for (const { x } of marks) {
    const left = Math.round(chart.valToPos(x, 'x', true));
    if (left < bbox.left || left > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(left, bbox.top);
    ctx.lineTo(left, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}
