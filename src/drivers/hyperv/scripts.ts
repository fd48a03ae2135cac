/**
 * PowerShell scripts for a Hyper-V host. Each script is constant. Its input is JSON in base64, whose alphabet
 * has no meaning in PowerShell; its answer uses the same form, independent of the code page. Pure.
 */

/** $in is the input; the last block returns one table. */
const AROUND = String.raw`$ErrorActionPreference='Stop'
$ProgressPreference='SilentlyContinue'
$WarningPreference='SilentlyContinue'
$stage='before'
$in=[Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('@DATA@'))|ConvertFrom-Json
function Say($value){$json=ConvertTo-Json -InputObject $value -Compress -Depth 8
[Console]::Out.Write([Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($json)))}
function Words($list){@($list|Where-Object{$_ -ne $null -and "$_" -ne ''}|ForEach-Object{"$_"})}
try{
@BODY@
}catch{$e=$_.Exception
while($e.InnerException -ne $null){$e=$e.InnerException}
Say @{error=@{stage=$stage;message="$($_.Exception.Message)";hresult=[long]$e.HResult;category="$($_.CategoryInfo.Category)"}}}`;

const FACTS = String.raw`function Facts($vm){@{
id="$($vm.Id)";name="$($vm.Name)";state="$($vm.State)";memory=[long]$(if($vm.MemoryAssigned -gt 0){$vm.MemoryAssigned}else{$vm.MemoryStartup})
vcpus=[int]$vm.ProcessorCount;generation=[int]$vm.Generation;version="$($vm.Version)";clustered=[bool]$vm.IsClustered
nics=@($vm.NetworkAdapters|ForEach-Object{@{id="$($_.Name)";mac="$($_.MacAddress)";switch="$($_.SwitchName)"}})}}`;

const SEEN = String.raw`function Seen($n){@{state="$($n.State)";drain="$($n.DrainStatus)";code=[long]$(if($n.DrainErrorCode){$n.DrainErrorCode}else{0})}}`;

const LIST = String.raw`${FACTS}
${SEEN}
$cluster=$null
if(Get-Command Get-ClusterNode -ErrorAction SilentlyContinue){try{$cluster=Seen (Get-ClusterNode -Name $env:COMPUTERNAME)
$cluster.name="$((Get-Cluster).Name)"}catch{$cluster=$null}}
$h=Get-VMHost
$system=Get-CimInstance Win32_OperatingSystem
Say @{host=@{cores=[int]$h.LogicalProcessorCount;memory=[long]$h.MemoryCapacity;available=([long]$system.FreePhysicalMemory)*1024;version="$([Environment]::OSVersion.Version)";cluster=$cluster}
guests=@(Get-VM|Select-Object -First 10000|ForEach-Object{Facts $_})}`;

const GUEST = String.raw`${FACTS}
$vm=Get-VM|Where-Object{$_.Id -eq [guid]$in.id}|Select-Object -First 1
if($vm -eq $null){Say @{guest=$null}}else{
$devices=@()
if(Get-Command Get-VMAssignableDevice -ErrorAction SilentlyContinue){$devices+=@(Words (Get-VMAssignableDevice -VM $vm|ForEach-Object{$_.InstanceID}))}
if(Get-Command Get-VMGpuPartitionAdapter -ErrorAction SilentlyContinue){$devices+=@(Words (Get-VMGpuPartitionAdapter -VM $vm|ForEach-Object{$_.InstancePath}))}
Say @{guest=(Facts $vm);compatibility=[bool](Get-VMProcessor -VM $vm).CompatibilityForMigrationEnabled
disks=@(Get-VMHardDiskDrive -VM $vm|ForEach-Object{@{path="$($_.Path)";physical=($_.DiskNumber -ne $null);at="$($_.ControllerType) $($_.ControllerNumber):$($_.ControllerLocation)"}})
images=@(Words (Get-VMDvdDrive -VM $vm|ForEach-Object{$_.Path}));devices=$devices;folder="$($vm.ConfigurationLocation)"}}`;

const HOST = String.raw`$h=Get-VMHost
$system=Get-CimInstance Win32_ComputerSystem
$service=Get-CimInstance -Namespace root/virtualization/v2 -ClassName Msvm_VirtualSystemMigrationService
$nodes=@()
if(Get-Command Get-ClusterNode -ErrorAction SilentlyContinue){try{$nodes=@(Words (Get-ClusterNode|ForEach-Object{$_.Name}))}catch{$nodes=@()}}
Say @{name="$($env:COMPUTERNAME)";domain=$(if($system.PartOfDomain){"$($system.Domain)"}else{''});version="$([Environment]::OSVersion.Version)"
storageLimit=[int]$h.MaximumStorageMigrations;storageActive=[int]$service.ActiveStorageMigrationCount
enabled=[bool]$h.VirtualMachineMigrationEnabled;limit=[int]$h.MaximumVirtualMachineMigrations;active=[int]$service.ActiveVirtualSystemMigrationCount
authentication="$($h.VirtualMachineMigrationAuthenticationType)";performance="$($h.VirtualMachineMigrationPerformanceOption)"
anyNetwork=[bool]$h.UseAnyNetworkForMigration;networks=@(Words (Get-VMMigrationNetwork|ForEach-Object{$_.Subnet}))
switches=@(Words (Get-VMSwitch|ForEach-Object{$_.Name}));nodes=$nodes}`;

/** Godwit's user, with group SIDs, and the host's time. */
const ACCOUNT = String.raw`$groups=@([Security.Principal.WindowsIdentity]::GetCurrent().Groups|ForEach-Object{$_.Value})
Say @{now=[DateTime]::UtcNow.ToString('yyyy-MM-ddTHH:mm:ss.fffZ');user="$([Security.Principal.WindowsIdentity]::GetCurrent().Name)"
groups=@(Words ($groups|Where-Object{$_ -like 'S-1-5-32-*'}))}`;

const COMPARE = String.raw`$vm=Get-VM|Where-Object{$_.Id -eq [guid]$in.id}|Select-Object -First 1
$with=@{VM=$vm;DestinationHost=$in.destination}
if($in.storage){$with.IncludeStorage=$true;$with.DestinationStoragePath=$in.storage}
$report=Compare-VM @with
Say @{incompatibilities=@($report.Incompatibilities|ForEach-Object{@{id=[long]$_.MessageId;message="$($_.Message)";source="$($_.Source)"}})}`;

/** One order per migration: a host-wide mutex prevents two scripts from reading the same notes. */
const START = String.raw`$watch=[Diagnostics.Stopwatch]::StartNew()
$id=([guid]$in.id).ToString().ToUpper()
$ns='root\virtualization\v2'
$mutex=New-Object Threading.Mutex($false,"Global\godwit-$id")
if(-not $mutex.WaitOne(10000)){Say @{refused='another order for it is being given'}}else{try{
$vm=Get-VM|Where-Object{$_.Id -eq [guid]$id}|Select-Object -First 1
$running=@(Get-WmiObject -Namespace $ns -Class Msvm_MigrationJob|Where-Object{$_.VirtualSystemName -eq $id -and $_.JobState -lt 7})
if($vm -eq $null){Say @{absent=$true}}
elseif("$($vm.Notes)".Contains($in.mark)){Say @{returned=0;already=$true}}
elseif($in.alone -and $vm.IsClustered){Say @{refused='it is a role of a cluster'}}
elseif($running.Count -gt 0){Say @{refused='another migration of it is under way'}}
elseif($watch.Elapsed.TotalSeconds -gt 45){Say @{refused='the host took too long'}}
else{
$notes="$($vm.Notes)" -replace '\r?\n?\[godwit m-[0-9a-z]+ [0-9TZ:.-]+\]',''
$mark=$in.mark+[DateTime]::UtcNow.ToString('yyyy-MM-ddTHH:mm:ss.fffZ')+']'
Set-VM -VM $vm -Notes ($notes+"${'`'}n"+$mark)
if($vm.IsClustered){$stage='call'
Move-ClusterVirtualMachineRole -VMId ([guid]$id) -Node $in.node -MigrationType Live -Wait 0|Out-Null
Say @{returned=4096}}
else{
$text=[Management.TextFormat]::WmiDtd20
$h=Get-VMHost
$machine=Get-WmiObject -Namespace $ns -Class Msvm_ComputerSystem -Filter "Name='$id'"
$service=Get-WmiObject -Namespace $ns -Class Msvm_VirtualSystemMigrationService
$set=([wmiclass]"\\.\$($ns):Msvm_VirtualSystemMigrationSettingData").CreateInstance()
$set.MigrationType=[uint16]$(if($in.alone){32769}elseif($in.storage){32771}else{32768})
$way=$in.transport
if($way -eq 'host'){$way="$($h.VirtualMachineMigrationPerformanceOption)"}
$set.TransportType=[uint16]$(if($way -eq 'smb'){32768}else{5})
$set.EnableCompression=[bool]($way -eq 'compression')
$system=$null
$resources=$null
if($in.storage){
$define=$machine.GetRelated('Msvm_VirtualSystemSettingData','Msvm_SettingsDefineState',$null,$null,$null,$null,$false,$null)|Select-Object -First 1
$folder=Join-Path $in.storage $id
$define.ConfigurationDataRoot=$folder
$define.SnapshotDataRoot=$folder
$define.SwapFileDataRoot=$folder
$system=$define.GetText($text)
$resources=@($define.GetRelated('Msvm_StorageAllocationSettingData')|Where-Object{$_.ResourceSubType -eq 'Microsoft:Hyper-V:Virtual Hard Disk'}|ForEach-Object{
$_.HostResource=@(Join-Path (Join-Path $folder 'Virtual Hard Disks') (Split-Path $_.HostResource[0] -Leaf))
$_.GetText($text)})}
$to=$in.destination
if($in.alone){$to=$null}
$stage='call'
$answer=$service.MigrateVirtualSystemToHost($machine.__PATH,$to,$set.GetText($text),$system,$resources)
Say @{returned=[long]$answer.ReturnValue}}}
}finally{$mutex.ReleaseMutex()}}`;

const UNMARK = String.raw`$vm=Get-VM|Where-Object{$_.Id -eq [guid]$in.id}|Select-Object -First 1
if($vm -ne $null -and "$($vm.Notes)".Contains($in.mark)){
Set-VM -VM $vm -Notes ("$($vm.Notes)" -replace '\r?\n?\[godwit m-[0-9a-z]+ [0-9TZ:.-]+\]','')}
Say @{done=$true}`;

const EVENTS = String.raw`$id=([guid]$in.id).ToString().ToUpper()
$found=@(Get-WinEvent -ErrorAction SilentlyContinue -MaxEvents 200 -FilterHashtable @{LogName='Microsoft-Windows-Hyper-V-VMMS-Admin';StartTime=[DateTime]::Parse($in.since,$null,'RoundtripKind')})
Say @{events=@($found|Where-Object{$_.ToXml().ToUpper().Contains($id)}|Select-Object -First 16|ForEach-Object{@{id=[int]$_.Id;level=[int]$_.Level;message="$($_.Message)"}})}`;

/** A failed drain leaves the node paused; a new request drains it again. */
const NODE = String.raw`${SEEN}
$n=Get-ClusterNode -Name $env:COMPUTERNAME
$isPaused="$($n.State)" -eq 'Paused'
$isDrained=$isPaused -and @('InProgress','Completed') -contains "$($n.DrainStatus)"
if($in.what -eq 'pause' -and -not $isDrained){$stage='call'
Suspend-ClusterNode -Name $env:COMPUTERNAME -Drain|Out-Null}
if($in.what -eq 'resume' -and $isPaused){$stage='call'
Resume-ClusterNode -Name $env:COMPUTERNAME -Failback NoFailback|Out-Null}
Say (Seen (Get-ClusterNode -Name $env:COMPUTERNAME))`;

const SCRIPTS = {
  list: LIST,
  guest: GUEST,
  host: HOST,
  account: ACCOUNT,
  compare: COMPARE,
  start: START,
  node: NODE,
  unmark: UNMARK,
  events: EVENTS,
} as const;
export type ScriptName = keyof typeof SCRIPTS;

export const SCRIPT_NAMES = Object.keys(SCRIPTS) as readonly ScriptName[];

export function scriptText(name: ScriptName, data: unknown): string {
  const given = Buffer.from(JSON.stringify(data), 'utf8').toString('base64');
  return `# godwit ${name}\n${AROUND.replace('@BODY@', () => SCRIPTS[name]).replace('@DATA@', () => given)}`;
}

/** PowerShell arguments: UTF-16 in base64, so that no shell interprets the script. */
export function powershellArgs(script: string): string[] {
  const encoded = Buffer.from(script, 'utf16le').toString('base64');
  return [
    '-NoProfile',
    '-NonInteractive',
    '-ExecutionPolicy',
    'Bypass',
    '-EncodedCommand',
    encoded,
  ];
}
