"use strict";

// Pictures and boxes on a canvas, in lines and letters of the same size for every image.

function paint(canvas, size, pictures, at) {
  // pictures: those between which `at` slides; returns context, scale, and pixels of the canvas for one on the screen
  const wide = Math.max(size.width, Math.min(4096, Math.round(canvas.clientWidth * devicePixelRatio)));
  const scale = wide / size.width;
  canvas.width = wide;
  canvas.height = Math.round(size.height * scale);
  const context = canvas.getContext("2d");
  const [low, high] = [Math.floor(at), Math.ceil(at)];
  context.drawImage(pictures[low], 0, 0, canvas.width, canvas.height);
  context.globalAlpha = at - low;
  if (high > low) context.drawImage(pictures[high], 0, 0, canvas.width, canvas.height);
  context.globalAlpha = 1;
  return { context, scale, unit: canvas.width / Math.max(1, canvas.clientWidth) };
}

function drawBoxes({ context, scale, unit }, objects, marked = -1) {
  // objects: {box, text, colour, dashed, outline, keypoints}, the surest first, which is drawn last, on top
  context.font = `600 ${13 * unit}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  const height = 19 * unit;
  const labels = place(objects, scale, unit, height, context, marked);
  const order = objects.map((_, i) => i).reverse().sort((a, b) => (a === marked) - (b === marked));
  const fade = (i) => (context.globalAlpha = marked >= 0 && marked !== i ? 0.3 : 1);
  for (const i of order) {
    const { x1, y1, x2, y2 } = objects[i].box;
    fade(i);
    context.setLineDash(objects[i].dashed ? [6 * unit, 4 * unit] : []);
    context.strokeStyle = objects[i].colour;
    context.lineWidth = (marked === i ? 4 : 2) * unit;
    const { outline, keypoints } = objects[i];
    const corners = outline?.length ? outline : [[x1, y1], [x2, y1], [x2, y2], [x1, y2]];
    context.beginPath();
    for (const [x, y] of corners) context.lineTo(x * scale, y * scale);
    context.closePath();
    context.stroke();
    context.fillStyle = objects[i].colour;
    if (corners.length > 4) {
      context.globalAlpha *= 0.3; // a mask, through which the picture is seen
      context.fill();
      fade(i);
    }
    for (const [x, y, shows] of keypoints ?? []) {
      if (shows < 0.25) continue; // as the host draws them
      context.beginPath();
      context.arc(x * scale, y * scale, 3 * unit, 0, 2 * Math.PI);
      context.fill();
    }
  }
  context.setLineDash([]);
  for (const i of order) {
    const { text, left, top, width } = labels[i];
    if (!text) continue;
    fade(i);
    context.fillStyle = objects[i].colour;
    context.fillRect(left, top, width, height);
    context.fillStyle = "#111";
    context.fillText(text, left + 4 * unit, top + height / 2);
  }
  context.globalAlpha = 1;
}

function place(objects, scale, unit, height, context, marked) {
  // above its box, below it or inside, where it covers no label of a surer object; left out where there is no room
  const taken = [];
  objects.forEach(({ box, text }, i) => {
    const width = text ? context.measureText(text).width + 8 * unit : 0;
    const within = (left) => Math.max(0, Math.min(left, context.canvas.width - width));
    const lefts = [box.x1 * scale - unit, box.x2 * scale + unit - width].map(within);
    const tops = [box.y1 * scale - height, box.y2 * scale, box.y1 * scale, box.y2 * scale - height];
    const inside = tops.filter((top) => top >= 0 && top + height <= context.canvas.height);
    const places = (inside.length ? inside : [0]).flatMap((top) => lefts.map((left) => ({ left, top, width })));
    const meets = (a) => (b) => b.text && Math.abs(b.top - a.top) < height && b.left < a.left + width && a.left < b.left + b.width;
    const free = places.find((one) => !taken.some(meets(one)));
    taken.push({ text: free || i === marked ? text : "", ...(free ?? places[0]) });
  });
  return taken;
}
