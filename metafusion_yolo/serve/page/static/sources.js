"use strict";

// Pairs of the files that were dropped: two images, two folders of them, or two videos, as {count, at, name}.
const INFRARED = /(^|[^a-z])(ir|infrared|thermal|therm|lwir|mwir|nir|heat|t)([^a-z]|$)|flir|\.npy$/i;
const WORDS = /^(ir|infrared|thermal|therm|lwir|mwir|nir|heat|t|vis|visible|rgb|color|colour|co|eo|v)$/;
const VIDEO = /\.(mp4|m4v|webm|mov|mkv|avi)$/i;
const STEP = 0.2; // seconds from one pair of two videos to the next
const pathOf = (file) => file.path ?? file.name;
const isVideo = (file) => file.type.startsWith("video/") || VIDEO.test(file.name);

function ofImages(visible, infrared) {
  if (visible.length === 1 && infrared.length === 1) return { count: 1, at: async () => [visible[0], infrared[0]] };
  const key = (file) => file.name.toLowerCase().replace(/\.\w+$/, "").split(/[^a-z\d]+/).filter((word) => !WORDS.test(word)).join(" ");
  const partners = new Map(infrared.map((file) => [key(file), file]));
  const pairs = visible.map((file) => [file, partners.get(key(file))]).filter(([, partner]) => partner);
  if (!pairs.length) throw new Error(`no names of the ${visible.length} visible and ${infrared.length} infrared images go together`);
  pairs.sort(([a], [b]) => a.name.localeCompare(b.name, undefined, { numeric: true }));
  const alone = visible.length + infrared.length - 2 * pairs.length;
  const rest = alone ? `, ${alone} without a partner` : "";
  return { count: pairs.length, at: async (i) => pairs[i], name: (i) => `${i + 1} of ${pairs.length}${rest}: ${pairs[i][0].name}` };
}

async function ofVideos(...both) {
  const videos = await Promise.all(both.map(async (file) => {
    const video = document.createElement("video");
    [video.muted, video.preload, video.src] = [true, "auto", URL.createObjectURL(file)];
    await happens(video, "loadeddata", `this browser cannot play '${file.name}'; MP4 with H.264 and WebM go everywhere`);
    return video;
  }));
  const seconds = Math.min(...videos.map((video) => video.duration));
  const at = (i) => Promise.all(videos.map(async (video, k) => {
    const there = happens(video, "seeked", `'${both[k].name}' ends early`);
    video.currentTime = Math.min(i * STEP, video.duration - 0.01);
    await there;
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    canvas.getContext("2d").drawImage(video, 0, 0);
    const blob = await new Promise((take) => canvas.toBlob(take, "image/jpeg", 0.95));
    return new File([blob], `${both[k].name}-${i}.jpg`);
  }));
  return { count: Math.max(1, Math.floor(seconds / STEP)), at, name: (i) => `${(i * STEP).toFixed(1)} of ${seconds.toFixed(1)} s` };
}

function happens(target, kind, otherwise) {
  return new Promise((done, fail) => {
    target.addEventListener(kind, done, { once: true });
    target.addEventListener("error", () => fail(new Error(otherwise)), { once: true });
  });
}

async function dropped(transfer) {
  // files, and those of folders
  const found = [...transfer.files];
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return found;
  const walk = async (entry) => {
    if (entry.isFile) {
      const file = await new Promise((take, fail) => entry.file(take, fail));
      file.path = entry.fullPath;
      return file.name.startsWith(".") ? [] : [file];
    }
    const [reader, below] = [entry.createReader(), []];
    for (;;) {
      const some = await new Promise((take, fail) => reader.readEntries(take, fail)); // a hundred at a time
      if (!some.length) return (await Promise.all(below.map(walk))).flat();
      below.push(...some);
    }
  };
  return (await Promise.all(entries.map(walk))).flat();
}
