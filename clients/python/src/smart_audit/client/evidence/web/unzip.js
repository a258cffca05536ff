// Reading a zip: the members that its directory names, stored or deflated.

const MAX_INFLATED = 1024 ** 3; // bytes of all members together

/** The members of a zip by name, in the order of its directory. */
async function unzip(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const members = new Map();
  let total = 0;
  let following = 0;
  try {
    for (const entry of directory(view, bytes)) {
      if (members.has(entry.name)) {
        throw new Fault(entry.name, "it is there twice");
      }
      total += entry.size;
      if (total > MAX_INFLATED) {
        throw new Fault("zip", "it is too large for this page; use the command line");
      }
      if (entry.start !== following) {
        throw new Fault(entry.name, "it does not follow the one before it");
      }
      const begin = beginOf(entry, view);
      following = begin + entry.packed;
      members.set(entry.name, await content(entry, bytes.subarray(begin, following)));
    }
    // A reader that goes from front to back may find more in bytes that are no member's.
    if (following !== directoryOf(view).begin) {
      throw new Fault("zip", "there are bytes in it that belong to no member");
    }
  } catch (error) {
    if (error instanceof RangeError) {
      throw new Fault("zip", "it is cut off or damaged");
    }
    throw error;
  }
  return members;
}

function* directory(view, bytes) {
  const { count, begin } = directoryOf(view);
  let at = begin;
  for (let number = 0; number < count; number += 1) {
    if (view.getUint32(at, true) !== 0x02014b50) {
      throw new Fault("zip", "its directory is damaged");
    }
    const nameSize = view.getUint16(at + 28, true);
    const name = decode(bytes.subarray(at + 46, at + 46 + nameSize), "zip");
    if (view.getUint16(at + 8, true) & 1) {
      throw new Fault(name, "it is encrypted");
    }
    yield {
      name,
      method: view.getUint16(at + 10, true),
      packed: view.getUint32(at + 20, true),
      size: view.getUint32(at + 24, true),
      start: view.getUint32(at + 42, true),
    };
    at += 46 + nameSize + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
}

/** What the record at the very end says: no comment may follow it. */
function directoryOf(view) {
  const end = view.byteLength - 22;
  if (end < 0 || view.getUint32(end, true) !== 0x06054b50) {
    throw new Fault("zip", "it is not a zip, or something follows its end");
  }
  const count = view.getUint16(end + 10, true);
  const begin = view.getUint32(end + 16, true);
  if (count === 0xffff || begin === 0xffffffff) {
    throw new Fault("zip", "it is too large for this page; use the command line");
  }
  return { count, begin };
}

/** Where the bytes of a member begin, behind its own header. */
function beginOf({ name, start }, view) {
  if (view.getUint32(start, true) !== 0x04034b50) {
    throw new Fault(name, "it is not where the zip's directory says");
  }
  return start + 30 + view.getUint16(start + 26, true) + view.getUint16(start + 28, true);
}

async function content(entry, packed) {
  if (packed.length !== entry.packed) {
    throw new Fault(entry.name, "it is cut off");
  }
  let inflated = packed;
  if (entry.method === 8) {
    inflated = await inflate(packed, entry);
  } else if (entry.method !== 0) {
    throw new Fault(entry.name, "it is compressed in an unknown way");
  }
  if (inflated.length !== entry.size) {
    throw new Fault(entry.name, "it has another size than the zip's directory says");
  }
  return inflated;
}

async function inflate(packed, entry) {
  const parts = [];
  let size = 0;
  try {
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    const reader = stream.getReader();
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      parts.push(read.value);
      size += read.value.length;
      if (size > entry.size) {
        await reader.cancel();
        break;
      }
    }
  } catch {
    throw new Fault(entry.name, "its compressed bytes are damaged");
  }
  return concat(...parts);
}
