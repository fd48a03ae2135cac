import type { Attachment, PortVlan } from '../protocol/network.ts';
import type { PortSettings } from '../protocol/port-settings.ts';

export type Landing =
  | {
      readonly kind: 'bridge' | 'ovs';
      readonly bridge: string;
      readonly mtu: number;
      readonly vlan?: PortVlan;
      readonly settings?: PortSettings;
    }
  | Extract<Attachment, { kind: 'routed' }>;

export interface ToolCommand {
  readonly tool: 'ip' | 'bridge' | 'ovs-vsctl';
  readonly words: readonly string[];
}
