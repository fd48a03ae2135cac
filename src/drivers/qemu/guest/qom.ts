import * as answers from '../qmp/answers.ts';
import type { QmpClient } from '../qmp/client.ts';
import type { Scalar } from '../spec/options.ts';

export async function getScalar(
  client: Pick<QmpClient, 'request'>,
  place: string,
  property: string,
  signal: AbortSignal,
): Promise<Scalar | undefined> {
  const answer = await client.request('qom-get', { path: place, property }, signal);
  const parsed = answers.scalar.safeParse(answer.ok ? answer.value : undefined);
  return parsed.success ? parsed.data : undefined;
}
