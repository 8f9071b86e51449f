"""A real RTSP camera, by Debian's GStreamer: `python3 rtsp_camera.py PORT h264|mjpeg WIDTH HEIGHT RATE [PNG]`.

It shows a moving ball, or what is in the PNG.
"""

import sys

ENCODERS = {
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! rtph264pay name=pay0 pt=96",
    "mjpeg": "jpegenc ! rtpjpegpay name=pay0 pt=26",
}


def main(port: str, kind: str, width: str, height: str, rate: str, picture: str = "") -> None:
    import gi  # here, as pytest looks for examples in each file, and most environments lack it

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer

    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory()
    size = f"video/x-raw,format=I420,width={width},height={height},framerate={rate}/1"
    shown = "videotestsrc is-live=true pattern=ball"
    if picture:
        shown = f"filesrc location={picture} ! pngdec ! videoconvert ! imagefreeze is-live=true"
    factory.set_launch(f"( {shown} ! {size} ! {ENCODERS[kind]} )")
    factory.set_shared(True)
    server.get_mount_points().add_factory("/live", factory)
    server.attach(None)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(*sys.argv[1:])
