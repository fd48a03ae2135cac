import type { QmpClient } from '../../../src/drivers/qemu/qmp/client.ts';
import { godwitError } from '../../../src/errors.ts';

/** What a monitor refuses, with the reason. */
export class Refusal {
  readonly reason: string;
  readonly errorClass: string;
  constructor(reason: string, errorClass = 'GenericError') {
    this.reason = reason;
    this.errorClass = errorClass;
  }
}

/** What the monitor answers to a command; undefined: it is carried out and has nothing to say. */
export type Answerer = (command: string, args: Readonly<Record<string, unknown>>) => unknown;

/** A monitor that answers as `answerer` says. `said` are the commands, in order. */
export function fakeMonitor(answerer: Answerer = () => undefined) {
  const said: string[] = [];
  const refused = (command: string, reason: string): Error =>
    godwitError('GODWIT_HYPERVISOR', { hypervisor: 'QEMU', host: 'a', command, reason });
  const request = async (command: string, args: Record<string, unknown>) => {
    said.push(command);
    const answer = await answerer(command, args);
    return answer instanceof Refusal
      ? ({ ok: false, reason: answer.reason, errorClass: answer.errorClass } as const)
      : ({ ok: true, value: answer ?? {} } as const);
  };
  const execute = async (command: string, args: Record<string, unknown>): Promise<unknown> => {
    const answer = await request(command, args);
    if (answer.ok) return answer.value;
    throw refused(command, answer.reason);
  };
  const query = async (
    command: string,
    args: Record<string, unknown>,
    schema: { parse: (value: unknown) => unknown },
  ): Promise<unknown> => schema.parse(await execute(command, args));
  const onEvent = () => () => undefined;
  const asking = { request, urgent: request, execute, query };
  const client: unknown = { version: '10.0.2', refused, onEvent, ...asking };
  return { said, client: client as QmpClient };
}
