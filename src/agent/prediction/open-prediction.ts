import type { Clock } from '../../clock.ts';
import type { AgentConfig } from '../../config.ts';
import type { Peers } from '../peers.ts';
import { ownWorkMs } from '../../system/processes/own-work.ts';
import { asItBegins } from '../../migration/steering/timetable.ts';
import type { MigrationStore } from '../migrations/store.ts';
import { PredictionCache } from './prediction-cache.ts';
import { LinkAnswers } from './link-answers.ts';
import { LinkMeter } from './link-meter.ts';

interface Needs {
  readonly config: AgentConfig;
  readonly clock: Clock;
  readonly store: MigrationStore;
  readonly peers: Peers;
}

export function openPrediction({ config, clock, store, peers }: Needs) {
  const linkMeter = new LinkMeter({
    clock,
    isBusy: () => store.usesLink(),
    workMs: ownWorkMs,
    ask: (to, pad, within) => peers.linkProbe(to, pad, within),
  });
  return {
    linkMeter,
    kept: new PredictionCache(clock, (request) =>
      asItBegins(request, config.limits.bandwidth, clock.wallMs()),
    ),
    linkAnswers: new LinkAnswers(clock, store),
  };
}
