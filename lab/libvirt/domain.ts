import { escapeXml } from '../../src/formats/xml.ts';
import { HOST_BRIDGE } from '../plan.ts';
import type { GuestHardware } from '../guest/argv.ts';

/** A guest of the lab as libvirt's XML. Pure. */
export interface DomainPlan extends Omit<GuestHardware, 'dir' | 'index' | 'ownChecksums'> {
  /** Its serial port is written there. */
  readonly serialLog: string;
  /** UEFI; absent: a BIOS. */
  readonly firmware?: DomainFirmware | undefined;
  /** Further words of QEMU's command line. */
  readonly extraArguments?: readonly string[] | undefined;
}

/** The firmware's code, and the file of which libvirt makes the guest's own variables. */
export interface DomainFirmware {
  readonly code: string;
  readonly variables: string;
}

export function domainXml(plan: DomainPlan): string {
  const { name, uuid, binary, machineType, accelerator, memoryBytes, mac } = plan;
  const {
    kernel,
    initramfs,
    commandLine,
    drives = [],
    serialLog,
    firmware,
    extraArguments = [],
  } = plan;
  const processor =
    accelerator === 'kvm'
      ? `<cpu mode='host-passthrough'/>`
      : `<cpu mode='custom' match='exact' check='none'><model fallback='forbid'>qemu64</model></cpu>`;
  const ofQemu = extraArguments.length === 0 ? '' : ` xmlns:qemu="${QEMU_SCHEMA}"`;
  return `<domain type="${accelerator === 'kvm' ? 'kvm' : 'qemu'}"${ofQemu}>
  <name>${escapeXml(name)}</name>
  <uuid>${uuid}</uuid>
  <memory unit='b'>${memoryBytes}</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine="${escapeXml(machineType)}">hvm</type>
    <kernel>${escapeXml(kernel)}</kernel>
    <initrd>${escapeXml(initramfs)}</initrd>
    <cmdline>${escapeXml(commandLine)}</cmdline>${firmware === undefined ? '' : firmwareXml(firmware)}
  </os>
  <features><acpi/></features>
  ${processor}
  <devices>
    <emulator>${escapeXml(binary)}</emulator>
${drives.map(diskXml).join('')}    <interface type='bridge'>
      <mac address="${mac}"/>
      <source bridge="${HOST_BRIDGE}"/>
      <model type='virtio'/>
      <rom enabled='no'/>
    </interface>
    <serial type='file'><source path="${escapeXml(serialLog)}" append='on'/></serial>
    <memballoon model='virtio'/>
  </devices>${extraArguments.length === 0 ? '' : argumentsXml(extraArguments)}
</domain>
`;
}

const QEMU_SCHEMA = 'http://libvirt.org/schemas/domain/qemu/1.0';

function argumentsXml(words: readonly string[]): string {
  const all = words.map((word) => `    <qemu:arg value="${escapeXml(word)}"/>\n`);
  return `\n  <qemu:commandline>\n${all.join('')}  </qemu:commandline>`;
}

function firmwareXml({ code, variables }: DomainFirmware): string {
  return `
    <loader readonly='yes' type='pflash'>${escapeXml(code)}</loader>
    <nvram template="${escapeXml(variables)}"/>`;
}

function diskXml(
  { file, format, thin }: NonNullable<DomainPlan['drives']>[number],
  index: number,
): string {
  const target = `vd${String.fromCharCode(97 + index)}`;
  return `    <disk type='file' device='disk'>
      <driver name='qemu' type="${format}" cache='none' discard="${thin ? 'unmap' : 'ignore'}"/>
      <source file="${escapeXml(file)}"/>
      <target dev="${target}" bus='virtio'/>
    </disk>
`;
}
