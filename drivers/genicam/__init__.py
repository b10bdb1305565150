"""The camera driver over GenICam: any GenTL producer, through harvesters.

`camera.py` is the `StrobeCamera` of `drivers/protocols.py`. Below it: `producers.py` loads `.cti` files,
`connection.py` is one opened camera, `features.py` its node map, `configuration.py` and `lines.py` what is
written into it, `stream.py` its buffers, `acquisition.py` one exposure and its frame, `proof.py` why that frame
belongs to that exposure, `pixels.py` the pixel formats.
"""

from drivers.system_libraries import load_libpython

load_libpython()  # before any module here imports the binding, which is linked to it
