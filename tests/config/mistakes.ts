/** What must be said about each mistake: the text of the file is made of a good one. */
export interface Mistake {
  readonly what: string
  readonly top?: string
  readonly tables?: string
  readonly says: readonly RegExp[]
}

const HASH = `$scrypt$ln=15,r=8,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`
const UUID = '7b1ea2c4-5b0f-4f6e-9d53-0d7c3a1f2e10'
const REPOSITORY =
  '[inventory]\nsource = "static"\n[[static.repositories]]\nid = "r1"\nmount_point = "/srv/r1"\n'

export const MISTAKES: readonly Mistake[] = [
  {
    what: 'a misspelt key',
    top: 'log_fiel = "x"',
    says: [/^FILE:2: log_fiel: is not known; did you mean log_file\?$/],
  },
  {
    what: 'two letters swapped',
    tables: '[api]\nprot = 1',
    says: [/^FILE:9: api\.prot: is not known; did you mean port\?$/],
  },
  {
    what: 'an unknown table',
    tables: '[unheard]\na = 1',
    says: [/^FILE:8: unheard: is not known; remove it$/],
  },
  {
    what: 'a key in the wrong table',
    tables: '[ovm]\nlog_file = "/tmp/x"\nbind = "::"',
    says: [/^FILE:9: ovm\.log_file: .*top of the file/, /^FILE:10: ovm\.bind: .*its place is below \[api\]$/],
  },
  {
    what: 'a number for a string',
    top: 'log_level = 3',
    says: [/^FILE:2: log_level: is an integer; write a string/],
  },
  {
    what: 'a string for a number',
    tables: '[api]\nport = "5544"',
    says: [/^FILE:9: api\.port: is a string; write an int/],
  },
  {
    what: 'a fraction',
    tables: '[api]\nport = 55.5',
    says: [/^FILE:9: api\.port: is a number with a fraction/],
  },
  {
    what: 'a number for a table',
    top: 'ovm = 3',
    says: [/^FILE:2: ovm: is an integer; write it as the table \[ovm\]$/],
  },
  {
    what: 'a table for a list',
    tables: '[static.vms]\nname = "x"',
    says: [/^FILE:8: static\.vms: is a table; start each of its tables with \[\[static\.vms\]\]$/],
  },
  {
    what: 'a list of something else',
    tables: `${REPOSITORY}[[static.vms]]\nname = "x"\nuuid = "${UUID}"\ndisks = ["/a.img"]`,
    says: [
      /^FILE:16: static\.vms\[0\]\.disks: is an array; start each of its tables with \[\[static\.vms\.disks\]\]$/,
    ],
  },
  {
    what: 'a date',
    top: 'db_file2 = 1\nlog_file = 1979-05-27',
    says: [/^FILE:2: db_file2/, /^FILE:3: log_file: is a date/],
  },
  {
    what: 'an unknown choice',
    top: 'log_level = "loud"',
    says: [/^FILE:2: log_level: "loud" is not known; use "trace" or/],
  },
  {
    what: 'audits that would never end, or too many',
    tables: '[audit]\nrate = 4096\nconcurrent = 0',
    says: [/^FILE:9: audit\.rate: 4096 bytes a second is so slow/, /^FILE:10: audit\.concurrent: 0 is not/],
  },
  {
    what: 'a hook that is not a list',
    tables: '[quiesce]\nbefore = "/bin/true"\nafter = ["/bin/true", 1]',
    says: [
      /^FILE:9: quiesce\.before: is a string; write strings in brackets/,
      /^FILE:10: quiesce\.after: is an array; write strings/,
    ],
  },
  {
    what: 'a hook without a program, and one that is required all the same',
    tables: '[quiesce]\nbefore = []\nafter = ["true"]\nrequired = true',
    says: [
      /^FILE:9: quiesce\.before: is empty; name a program/,
      /^FILE:10: quiesce\.after: "true" is not an absolute path/,
      /^FILE:11: quiesce\.required: is true, but there is no good quiesce\.before/,
    ],
  },
  {
    what: 'a hook with a placeholder that is not known, or where none may be',
    tables:
      '[quiesce]\nbefore = ["/bin/x", "a{VM}b"]\nafter = ["/bin/{vm}"]\ntimeout = "2h"\nmax_stall = "2h"',
    says: [
      /^FILE:9: quiesce\.before: "\{VM\}" is not known; use \{vm\}, \{uuid\} or \{name\}$/,
      /^FILE:10: quiesce\.after: has a placeholder in the name of the program/,
      /^FILE:11: quiesce\.timeout: is no time to give a hook/,
      /^FILE:12: quiesce\.max_stall: is too short or too long/,
    ],
  },
  {
    what: 'retention out of bounds',
    tables: '[retention]\nkeep_last = -1\nmax_age = "1s"\ninterval = "25h"',
    says: [
      /^FILE:9: retention\.keep_last: -1 is not a number of snapshots/,
      /^FILE:10: retention\.max_age: is shorter than a minute/,
      /^FILE:11: retention\.interval: is too short or too long/,
    ],
  },
  {
    what: 'a port out of range',
    tables: '[api]\nport = 65536',
    says: [/^FILE:9: api\.port: 65536 is not a port/],
  },
  { what: 'a negative port', tables: '[api]\nport = -1', says: [/^FILE:9: api\.port: -1 is not a port/] },
  {
    what: 'a host name to bind to',
    tables: '[api]\nbind = "localhost"',
    says: [/^FILE:9: api\.bind: "localhost" is not an IP/],
  },
  {
    what: 'a negative duration',
    tables: '[api]\nshutdown_grace = "-1h"',
    says: [/^FILE:9: api\.shutdown_grace: "-1h" is not a duration/],
  },
  {
    what: 'a duration without a unit',
    tables: '[api]\nshutdown_grace = 30',
    says: [/^FILE:9: api\.shutdown_grace: is an integer; write a duration/],
  },
  {
    what: 'a grace of days',
    tables: '[api]\nshutdown_grace = "25h"',
    says: [/^FILE:9: api\.shutdown_grace: is longer than a day/],
  },
  {
    what: 'no boolean',
    tables: '[inventory]\nrequire_mount_point = "yes"',
    says: [/^FILE:9: .*require_mount_point: is a string; write true or false/],
  },
  {
    what: 'an endpoint that is no URL',
    top: 'ovm_endpoint = "manager"',
    says: [/^FILE:2: ovm_endpoint: is not a URL/],
  },
  {
    what: 'an endpoint with a password',
    top: 'ovm_endpoint = "https://a:hunter2@m"',
    says: [/^FILE:2: ovm_endpoint: holds a user name/],
  },
  {
    what: 'an endpoint without TLS',
    top: 'ovm_endpoint = "http://m"',
    says: [/^FILE:2: ovm_endpoint: is not https/],
  },
  {
    what: 'an endpoint of another kind',
    top: 'ovm_endpoint = "ftp://m"',
    says: [/^FILE:2: ovm_endpoint: is not an https URL/],
  },
  {
    what: 'a relative agent folder',
    tables: '[ovm]\nagent_db_dir = "db"',
    says: [/^FILE:9: ovm\.agent_db_dir: "db" is not an absolute path/],
  },
  {
    what: 'a control character in a path',
    top: 'log_file = "/tmp/\\u0000x"',
    says: [/^FILE:2: log_file: holds a control character/],
  },
  {
    what: 'no authority for client certificates',
    tables: '[api]\nclient_certificates = "required"',
    says: [/^FILE:5: api\.tls\.ca_certificate: is missing/],
  },
  {
    what: 'no authority for the manager',
    tables: '[ovm]\ntls = "ca"',
    says: [/^FILE:8: ovm\.ca_certificate: is missing/],
  },
  {
    what: 'no repository in a static inventory',
    tables: '[inventory]\nsource = "static"',
    says: [/^FILE:9: inventory\.source: .*add a \[\[static\.repositories\]\]/],
  },
  {
    what: 'no user among users',
    tables: '[auth]\nprovider = "users"',
    says: [/^FILE:9: auth\.provider: .*add an \[\[auth\.users\]\]/],
  },
  {
    what: 'two repositories with one id, and one mount point spelt differently',
    tables: `${REPOSITORY}[[static.repositories]]\nid = "r1"\nmount_point = "/srv/./r1/"`,
    says: [
      /^FILE:14: static\.repositories\[1\]\.id: is the same as in line 11/,
      /^FILE:15: static\.repositories\[1\]\.mount_point: is the same as in line 12/,
    ],
  },
  {
    what: 'two VMs with one name and one UUID',
    tables:
      REPOSITORY +
      `[[static.vms]]\nname = "v"\nuuid = "${UUID}"\n[[static.vms]]\nname = "v"\nuuid = "${UUID.toUpperCase()}"`,
    says: [
      /^FILE:17: static\.vms\[1\]\.name: is the same as in line 14/,
      /^FILE:18: static\.vms\[1\]\.uuid: is the same as in line 15/,
    ],
  },
  {
    what: 'two disks of one VM with one device and one file',
    tables:
      REPOSITORY +
      `[[static.vms]]\nname = "v"\nuuid = "${UUID}"\ndisks = [\n{ path = "/a", device_name = "xvda" },\n{ path = "/a", device_name = "xvda" } ]`,
    says: [
      /^FILE:18: static\.vms\[0\]\.disks\[1\]\.device_name: is the same as in line 17/,
      /^FILE:18: static\.vms\[0\]\.disks\[1\]\.path: is the same as in line 17/,
    ],
  },
  {
    what: 'a VM that lacks everything and a bad one',
    tables:
      REPOSITORY +
      '[[static.vms]]\n[[static.vms]]\nname = "../x"\nuuid = "7b1e"\n[[static.vms.disks]]\npath = "a.img"\ndevice_name = "/dev/xvda"\nmode = "rw"',
    says: [
      /^FILE:13: static\.vms\[0\]\.name: is missing; set it/,
      /^FILE:13: static\.vms\[0\]\.uuid: is missing; set it/,
      /^FILE:15: static\.vms\[1\]\.name: "\.\.\/x" can't be an id/,
      /^FILE:16: static\.vms\[1\]\.uuid: "7b1e" is not a UUID/,
      /^FILE:18: static\.vms\[1\]\.disks\[0\]\.path: "a\.img" is not an absolute path/,
      /^FILE:19: static\.vms\[1\]\.disks\[0\]\.device_name: "\/dev\/xvda" is not a device/,
      /^FILE:20: static\.vms\[1\]\.disks\[0\]\.mode: "rw" is not known/,
    ],
  },
  {
    what: 'two users with one name',
    tables: `[auth]\nprovider = "users"\n[[auth.users]]\nusername = "u"\npassword_hash = "${HASH}"\n[[auth.users]]\nusername = "u"\npassword_hash = "${HASH}"`,
    says: [/^FILE:14: auth\.users\[1\]\.username: is the same as in line 11/],
  },
  {
    what: 'a backend that is neither a package nor a path',
    tables: '[[backends]]\nmodule = "My Backend"',
    says: [/^FILE:9: backends\[0\]\.module: "My Backend" is neither/],
  },
  {
    what: 'backend options that are none',
    tables: '[[backends]]\nmodule = "b"\noptions = 3',
    says: [/^FILE:10: backends\[0\]\.options: is an integer; write a table/],
  },
  {
    what: 'a folder that is missing',
    top: 'log_file = "/nonexistent/log"',
    says: [/^FILE:2: log_file: the folder \/nonexistent does not exist \(ENOENT\).*mkdir -p \/nonexistent/],
  },
  {
    what: 'a folder that is a file',
    top: 'log_file = "/etc/passwd/log"',
    says: [/^FILE:2: log_file: the folder \/etc\/passwd is not a folder/],
  },
]
