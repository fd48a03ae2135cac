import type { VsphereClient } from './client.ts';
import type { Ref } from './soap.ts';
import { TASK_PROPERTIES, taskIn, type Task } from './task.ts';

/** One task, of which the vCenter reports each change: nobody asks for it again and again. */
export class TaskFollower {
  readonly ref: Ref;
  readonly #client: VsphereClient;
  readonly #collector: Ref;
  #version = '';
  #seen: Task | undefined;

  private constructor(client: VsphereClient, ref: Ref, collector: Ref) {
    this.#client = client;
    this.ref = ref;
    this.#collector = collector;
  }

  static async open(client: VsphereClient, ref: Ref, signal: AbortSignal): Promise<TaskFollower> {
    return new TaskFollower(client, ref, await client.followOne(ref, TASK_PROPERTIES, signal));
  }

  /** The task as it was reported last; waits so many s for a change, 0: not at all. */
  async next(waitSeconds: number, signal: AbortSignal): Promise<Task | undefined> {
    const updates = await this.#client.updates(this.#collector, this.#version, waitSeconds, signal);
    this.#version = updates?.version ?? this.#version;
    for (const change of updates?.changes ?? []) {
      this.#seen = change.kind === 'leave' ? undefined : (taskIn(change) ?? this.#seen);
    }
    return this.#seen;
  }

  close(signal: AbortSignal): Promise<void> {
    return this.#client.unfollow(this.#collector, signal);
  }
}
