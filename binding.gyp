{
  "targets": [
    {
      "target_name": "guest_memfd",
      "sources": [
        "native/addon.cc",
        "native/batch.cc",
        "native/blocking.cc",
        "native/copy.cc",
        "native/encrypt_layouts.cc",
        "native/execute.cc",
        "native/ioctl.cc",
        "native/iommufd_layouts.cc",
        "native/kick.cc",
        "native/layouts.cc",
        "native/op.cc",
        "native/race.cc",
        "native/race_result.cc",
        "native/racer.cc",
        "native/races.cc",
        "native/runner.cc",
        "native/state.cc",
        "native/vcpu_layouts.cc",
        "native/vfio_layouts.cc"
      ],
      "defines": ["NAPI_VERSION=9", "NODE_API_NO_EXTERNAL_BUFFERS_ALLOWED", "_GNU_SOURCE"],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++1y", "-fno-exceptions"],
      "cflags": ["-Wall", "-Wextra", "-Werror", "-fvisibility=hidden"],
      "cflags_cc": ["-std=c++20", "-fvisibility-inlines-hidden"],
      "configurations": {
        "Release": {
          "cflags!": ["-O3"],
          "cflags": ["-O2", "-g0", "-ffunction-sections", "-fdata-sections"],
          "ldflags": ["-Wl,--gc-sections", "-Wl,-s"]
        }
      }
    }
  ]
}
