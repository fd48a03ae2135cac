import type { Attachment, PortVlan } from '../protocol/network.ts';
import type { PortSettings } from '../protocol/port-settings.ts';

/** Future attachment of a NIC on this host. */
export type Landing =
  | {
      readonly kind: 'bridge' | 'ovs';
      readonly bridge: string;
      readonly mtu: number;
      readonly vlan?: PortVlan;
      readonly settings?: PortSettings;
    }
  | Extract<Attachment, { kind: 'routed' }>;

/** Command of a tool that changes a host's network. */
export interface ToolCommand {
  readonly tool: 'ip' | 'bridge' | 'ovs-vsctl';
  readonly words: readonly string[];
}
