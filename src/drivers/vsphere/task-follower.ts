import type { VsphereClient } from './client.ts';
import type { Ref } from './soap.ts';
import { TASK_PROPERTIES, taskIn, type Task } from './task.ts';

/** Follows one task through the vCenter's reported changes, without polling. */
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

  /** Last reported task; waits up to `waitSeconds` for a change, 0 for no wait. */
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
