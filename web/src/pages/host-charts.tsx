import { useState } from 'preact/hooks';
import type { SamplePoint } from '../../../src/protocol/controller/fleet.ts';
import { formatBytes, formatRate } from '../../../src/protocol/quantity.ts';
import { ask } from '../base/http.ts';
import { useLoaded } from '../base/load.ts';
import { momentText, percentText } from '../base/text.ts';
import { columnsOf, type Span } from '../fleet/samples.ts';
import { Chart } from '../components/chart.tsx';
import { Shown } from '../components/loaded.tsx';
import { Empty } from '../components/notices.tsx';

const LOOK_MS = 10_000;
/** What a chart shows at least, s, however few points there are yet. */
const SPAN_S: Readonly<Record<Span, number>> = {
  sample: 600,
  minute: 7200,
  hour: 30 * 86_400,
};

const SPANS: readonly (readonly [Span, string])[] = [
  ['sample', '10 minutes'],
  ['minute', '2 hours'],
  ['hour', '30 days'],
];

/** How busy a host was, over a time that a person picks. */
export function HostLoad({
  name,
  isUp,
  memoryBytes,
}: {
  name: string;
  isUp: boolean;
  memoryBytes: number | undefined;
}) {
  const [span, setSpan] = useState<Span>('sample');
  const samples = useLoaded(
    (until) =>
      ask<{ points: SamplePoint[] }>(`/v1/hosts/${encodeURIComponent(name)}/samples?span=${span}`, {
        signal: until,
      }),
    [name, span],
    isUp ? LOOK_MS : undefined,
  );
  return (
    <section class="panel">
      <div class="row between">
        <h2>Load</h2>
        <div class="switch" role="group" aria-label="The last">
          {SPANS.map(([each, words]) => (
            <button
              key={each}
              type="button"
              aria-pressed={each === span}
              onClick={() => setSpan(each)}
            >
              {words}
            </button>
          ))}
        </div>
      </div>
      <Shown of={samples} what="samples" lines={3}>
        {({ points }) =>
          points.length === 0 ? (
            <Empty title="No measurements in this period.">
              <p>
                A sample is taken every 10 s while the host is up. Another controller may have the
                newest samples.
              </p>
            </Empty>
          ) : (
            <HostCharts points={points} span={span} memoryBytes={memoryBytes} />
          )
        }
      </Shown>
    </section>
  );
}

const atText = (x: number): string => momentText(x * 1000);

/** Processors and what waits, memory, network and disks over the same time. */
function HostCharts({
  points,
  span,
  memoryBytes,
}: {
  points: readonly SamplePoint[];
  span: Span;
  memoryBytes: number | undefined;
}) {
  const { x, of } = columnsOf(points, span);
  const used = of('memoryAvailableBytes').map((each) =>
    each === null || memoryBytes === undefined ? null : Math.max(0, memoryBytes - each),
  );
  const given = { x, xKind: 'time' as const, xText: atText, xSpan: SPAN_S[span], height: 140 };
  return (
    <div class="chart-grid">
      <Chart
        {...given}
        label="Processors in use, and taken by other load"
        text={percentText}
        most={1}
        lines={[
          { name: 'processors', colour: '--rate', values: of('processorUsed'), kind: 'area' },
          { name: 'steal', colour: '--dirty', values: of('processorSteal') },
        ]}
      />
      <Chart
        {...given}
        label="Share of time with waiting work"
        text={percentText}
        lines={[
          { name: 'waiting for processors', colour: '--rate', values: of('pressureProcessor') },
          { name: 'memory', colour: '--dirty', values: of('pressureMemory') },
          { name: 'disks', colour: '--soft', values: of('pressureIo'), kind: 'dashed' },
        ]}
      />
      <Chart
        {...given}
        label="Memory in use"
        text={formatBytes}
        isBytes
        {...(memoryBytes === undefined ? {} : { most: memoryBytes })}
        lines={[{ name: 'memory in use', colour: '--rate', values: used, kind: 'area' }]}
      />
      <Chart
        {...given}
        label="Network and disks"
        text={formatRate}
        isBytes
        lines={[
          { name: 'network in', colour: '--rate', values: of('networkInBytesPerS') },
          { name: 'out', colour: '--dirty', values: of('networkOutBytesPerS') },
          { name: 'disks read', colour: '--soft', values: of('diskReadBytesPerS'), kind: 'dashed' },
          { name: 'written', colour: '--good', values: of('diskWriteBytesPerS'), kind: 'dashed' },
        ]}
      />
    </div>
  );
}
