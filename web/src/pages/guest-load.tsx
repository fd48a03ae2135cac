import { useState } from 'preact/hooks';
import type { GuestSamplePoint } from '../../../src/protocol/controller/fleet.ts';
import { ask } from '../base/http.ts';
import { useLoaded } from '../base/load.ts';
import { momentText } from '../base/text.ts';
import { Chart } from '../components/chart.tsx';
import { Shown } from '../components/loaded.tsx';

const SPANS = [
  ['look', '3 hours', 3 * 3600],
  ['hour', '7 days', 7 * 86_400],
] as const;
type Span = (typeof SPANS)[number][0];

const LOOK_MS = 60_000;
const coresText = (cores: number): string => `${cores.toFixed(cores < 10 ? 1 : 0)} cores`;

/** How many cores a guest used, on whatever host it was. */
export function GuestLoad({ name, vcpus }: { name: string; vcpus: number | undefined }) {
  const [span, setSpan] = useState<Span>('look');
  const path = `/v1/guests/${encodeURIComponent(name)}/samples?span=${span}`;
  const samples = useLoaded(
    (until) => ask<{ points: GuestSamplePoint[] }>(path, { signal: until }),
    [path],
    LOOK_MS,
  );
  const spanS = SPANS.find(([each]) => each === span)?.[2] ?? 0;
  return (
    <section class="panel">
      <div class="row between">
        <h2>CPU in use</h2>
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
      <Shown of={samples} what="the load" lines={3}>
        {({ points }) =>
          points.length === 0 ? (
            <p class="soft">
              No measurements in this period. A mean is recorded every five minutes, and every hour.
            </p>
          ) : (
            <Chart
              label="Cores in use by this guest"
              x={points.map(({ at }) => Date.parse(at) / 1000)}
              xKind="time"
              xText={(at) => momentText(at * 1000)}
              xSpan={spanS}
              text={coresText}
              height={160}
              {...(vcpus === undefined ? {} : { most: vcpus })}
              lines={[
                {
                  name: 'cores in use',
                  colour: '--rate',
                  values: points.map(({ cores }) => cores),
                  kind: 'area',
                },
              ]}
            />
          )
        }
      </Shown>
    </section>
  );
}
