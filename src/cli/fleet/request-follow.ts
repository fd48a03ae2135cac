import { godwitError, hasCode } from '../../errors.ts';
import {
  isRequestEnd,
  type FleetRequest,
  type FleetRequestAsk,
} from '../../protocol/controller/fleet-request.ts';
import { printJson, type Context } from '../context.ts';
import { listLook } from '../lists.ts';
import {
  ended,
  exitOfRequest,
  mustConfirm,
  newRequestId,
  planText,
  requestText,
  type ControllerApi,
} from './at-controller.ts';

const LOOK_MS = 1000;
/** Longest silence while another controller takes over, ms. */
const SILENT_MS = 60_000;
/** Measuring a site's guests may take a minute. */
const PLANNING = { deadlineMs: 90_000 } as const;
const SIGNAL_EXIT = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

export interface RequestCommand {
  readonly body: Partial<FleetRequestAsk> & Pick<FleetRequestAsk, 'kind' | 'hosts'>;
  readonly question: string;
  readonly json: boolean;
  readonly dryRun: boolean;
  readonly yes: boolean;
  readonly detach: boolean;
}

export async function askForRequest(
  api: ControllerApi,
  { body, question, json, dryRun, yes, detach }: RequestCommand,
  context: Context,
): Promise<number> {
  const id = newRequestId();
  const { plan } = await api.putRequest(
    { params: { id }, query: { dryRun: 'true' }, body },
    PLANNING,
  );
  if (dryRun && json) printJson(context, { plan });
  if (!json) context.out.write(planText(plan, listLook(context, {})));
  if (dryRun) return 0;
  if (!yes) await mustConfirm(question, context);
  await api.putRequest({ params: { id }, body }, PLANNING);
  if (detach) {
    if (json) printJson(context, { id });
    else context.out.write(`${id}: asked for; follow it with \`godwit watch ${id}\`\n`);
    return 0;
  }
  if (!json) context.out.write(`${id}: asked for\n`);
  return followRequest(api, id, { json, context });
}

/** Splits a list such as b,c; undefined without the flag. GODWIT_USAGE for an empty one. */
export function hostsIn(text: string | undefined, flag: string): string[] | undefined {
  const names = text
    ?.split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '');
  if (names?.length === 0) throw godwitError('GODWIT_USAGE', { what: `${flag} names no host` });
  return names;
}

export async function cancelRequest(
  api: ControllerApi,
  {
    id,
    rollBack,
    json,
  }: { readonly id: string; readonly rollBack: boolean; readonly json: boolean },
  context: Context,
): Promise<number> {
  const query = { rollBack: rollBack ? ('true' as const) : ('false' as const) };
  const { accepted } = await api.cancelRequest({ params: { id }, query });
  if (!accepted) throw ended((await api.request({ params: { id } })).request);
  const under = rollBack ? 'are rolled back' : 'continue to their end';
  if (json) printJson(context, { id, accepted });
  else context.out.write(`${id}: no further moves start; moves in progress ${under}\n`);
  return 0;
}

interface Following {
  readonly json: boolean;
  readonly context: Context;
}

/** Prints each change of the request's state, until it has ended or a signal comes. */
export async function followRequest(
  api: ControllerApi,
  id: string,
  { json, context }: Following,
): Promise<number> {
  let signal: keyof typeof SIGNAL_EXIT | undefined;
  const stop = context.onInterrupt((given) => {
    signal ??= given;
  });
  let before = '';
  let heardMs = context.clock.monotonicMs();
  try {
    for (;;) {
      const seen = await look(api, id, context.clock.monotonicMs() - heardMs);
      if (seen !== undefined) heardMs = context.clock.monotonicMs();
      const text = seen === undefined ? before : requestText(seen);
      if (!json && text !== before) context.out.write(text);
      before = text;
      if (seen !== undefined && isRequestEnd(seen.phase)) {
        if (json) printJson(context, { request: seen });
        return exitOfRequest(seen.phase);
      }
      if (signal !== undefined) {
        context.err.write(`${id} goes on; follow it with \`godwit watch ${id}\`\n`);
        return SIGNAL_EXIT[signal];
      }
      await context.clock.sleep(LOOK_MS);
    }
  } finally {
    stop();
  }
}

/** Undefined while the controller does not answer but may come back. */
async function look(
  api: ControllerApi,
  id: string,
  silentMs: number,
): Promise<FleetRequest | undefined> {
  try {
    return (await api.request({ params: { id } })).request;
  } catch (error) {
    const mayComeBack = hasCode(error, 'GODWIT_UNREACHABLE') || hasCode(error, 'GODWIT_STORE');
    if (mayComeBack && silentMs < SILENT_MS) return undefined;
    throw error;
  }
}
