import { useState } from 'preact/hooks';
import type { GuestSamplePoint } from '../../../src/protocol/controller/fleet.ts';
import { ask } from '../base/http.ts';
import { useLoaded } from '../base/load.ts';
import { momentText } from '../base/text.ts';
import { pointsAround, spanFor, type Stretch } from '../moves/around.ts';
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

/** The CPU use of a guest before, during and after a move, if the controller has it. */
export function LoadAroundMove({ guest, stretch }: { guest: string; stretch: Stretch }) {
  const span = spanFor(stretch, Date.now());
  const path = `/v1/guests/${encodeURIComponent(guest)}/samples?span=${span}`;
  const { value } = useLoaded(
    (until) => ask<{ points: GuestSamplePoint[] }>(path, { signal: until }),
    [path],
  );
  const points = pointsAround(value?.points ?? [], stretch, span);
  if (points.length === 0) return null;
  return (
    <section class="panel">
      <h2>CPU use of the guest, before, during and after the move</h2>
      <Chart
        label="Cores in use by the guest around its move"
        x={points.map(({ atMs }) => atMs / 1000)}
        xKind="time"
        xText={(at) => momentText(at * 1000)}
        text={coresText}
        height={150}
        marks={[
          { x: stretch.startMs / 1000, words: 'the move begins' },
          { x: stretch.endMs / 1000, words: 'the move has ended' },
        ]}
        lines={[
          {
            name:
              span === 'look' ? 'cores in use, mean of 5 minutes' : 'cores in use, mean of an hour',
            colour: '--rate',
            values: points.map(({ cores }) => cores),
            kind: 'steps',
          },
        ]}
      />
      <p class="soft">Dotted lines mark the beginning and the end of the move.</p>
    </section>
  );
}
