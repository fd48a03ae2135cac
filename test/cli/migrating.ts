import type { AgentApi } from '../../src/cli/connection/agent-set.ts';
import {
  migrationRequest,
  type MigrationRequest,
  type Progress,
  type Report,
} from '../../src/protocol/public/migration.ts';
import { endpoint, FakeContext, guest, host, ID, progress, report } from './fake.ts';

export interface World {
  readonly events?: (signal: AbortSignal | undefined) => AsyncIterable<Progress>;
  readonly ending?: Report;
  readonly more?: Partial<AgentApi>;
}

/** An agent with one guest that takes any migration; `asked` are the requests it got. */
export function world({ events, ending = report(), more = {} }: World = {}): {
  context: FakeContext;
  asked: MigrationRequest[];
} {
  const asked: MigrationRequest[] = [];
  const context = new FakeContext(
    endpoint('a', {
      guests: async () => ({ guests: [guest('web1', 'a')] }),
      hosts: async () => ({ hosts: [host('a'), host('beta')] }),
      migrate: async ({ body }) => {
        asked.push(migrationRequest.parse(body));
        return { id: ID };
      },
      events: (_input, options) =>
        events?.(options?.signal) ?? all(progress('memory'), progress('done')),
      report: async () => ending,
      ...more,
    }),
  );
  return { context, asked };
}

export async function* all(...each: Progress[]): AsyncGenerator<Progress> {
  yield* each;
}
