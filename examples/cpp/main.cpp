// Detects objects on a visible and an infrared image with a model of `metafusion export`, in C++.
//
//   detect MODEL VISIBLE INFRARED [CONF]
//
// MODEL is an ONNX file or the .xml of an OpenVINO export, with one input or two, without NMS inside. Prints a line for
// each box: name, score, x1, y1, x2, y2, as `python -m metafusion_yolo.runtime` does.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <stdexcept>
#include <string>
#include <vector>

#include <opencv2/dnn.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <openvino/openvino.hpp>

namespace {

constexpr float kIou = 0.7F;    // largest overlap of two boxes of one class
constexpr int kMaxDet = 300;    // most detections of a pair
constexpr int kSampling = 8;    // step at which a camera is looked at to see whether it shows anything
constexpr double kGrey = 114;   // of the border around the image, as in training

struct Letterbox {
    cv::Mat pair;        // (h, w, 4) uint8: R, G, B, IR
    cv::Size inner;      // of the image in it
    int left, top;       // where the image starts
};

// The metadata that metafusion wrote: the names and how the input was made.
struct Metadata {
    std::map<int, std::string> names;
    std::string pair_input;
};

std::string read_text(const std::filesystem::path& file) {
    std::ifstream stream(file);
    return {std::istreambuf_iterator<char>(stream), {}};
}

Metadata read_metadata(const std::string& file, const std::shared_ptr<ov::Model>& model) {
    Metadata metadata;
    std::string names;
    if (model->has_rt_info("framework", "names")) {  // ONNX
        names = model->get_rt_info<std::string>("framework", "names");
        metadata.pair_input = model->get_rt_info<std::string>("framework", "pair_input");
    } else {  // OpenVINO: metadata.yaml beside the .xml
        metadata.pair_input = read_text(std::filesystem::path(file).replace_filename("metadata.yaml"));
        const auto start = metadata.pair_input.find("\nnames:");
        if (start == std::string::npos) throw std::runtime_error("no metadata.yaml beside '" + file + "'");
        const std::regex end("\n[^ \n]");  // the next key
        std::smatch found;
        names = metadata.pair_input.substr(start + 7);
        if (std::regex_search(names, found, end)) names = names.substr(0, found.position());
    }
    const std::regex entry("(\\d+): *['\"]?([^'\",}\n]*)");
    for (auto it = std::sregex_iterator(names.begin(), names.end(), entry); it != std::sregex_iterator(); ++it)
        metadata.names[std::stoi((*it)[1])] = (*it)[2];
    return metadata;
}

// Stretches a deep infrared image between its percentiles 0.1 and 99.9; one of 8 bits stays as it is.
cv::Mat normalise(const cv::Mat& counts) {
    if (counts.depth() == CV_8U) return counts;
    cv::Mat values;
    counts.convertTo(values, CV_64F);
    std::vector<double> sorted(values.begin<double>(), values.end<double>());
    std::sort(sorted.begin(), sorted.end());
    const auto percentile = [&](double share) {
        const double at = share * static_cast<double>(sorted.size() - 1);
        const auto below = static_cast<size_t>(at);
        const size_t above = std::min(below + 1, sorted.size() - 1);
        return sorted[below] + (sorted[above] - sorted[below]) * (at - std::floor(at));
    };
    double low = percentile(0.001), high = percentile(0.999);
    if (high <= low) low = sorted.front(), high = sorted.back();
    if (high <= low) return cv::Mat::zeros(counts.size(), CV_8U);
    cv::Mat grey(counts.size(), CV_8U);
    std::transform(values.begin<double>(), values.end<double>(), grey.begin<uchar>(), [&](double count) {
        return static_cast<uchar>(std::clamp((count - low) * (255 / (high - low)) + 0.5, 0.0, 255.0));
    });
    return grey;
}

bool shows_anything(const cv::Mat& plane) {
    uchar low = 255, high = 0;
    for (int y = 0; y < plane.rows; y += kSampling)
        for (int x = 0; x < plane.cols; x += kSampling) {
            low = std::min(low, plane.at<uchar>(y, x));
            high = std::max(high, plane.at<uchar>(y, x));
        }
    return low != high;
}

cv::Mat stack(const cv::Mat& bgr, const cv::Mat& counts) {
    cv::Mat infrared = normalise(counts);
    if (infrared.size() != bgr.size()) cv::resize(infrared, infrared, bgr.size());
    std::vector<cv::Mat> planes;
    cv::split(bgr, planes);
    cv::Mat pair;
    cv::merge(std::vector<cv::Mat>{planes[2], planes[1], planes[0], infrared}, pair);
    return pair;
}

Letterbox letterbox(const cv::Mat& pair, cv::Size size) {
    const double gain = std::min(double(size.height) / pair.rows, double(size.width) / pair.cols);
    Letterbox box;
    box.inner = {std::max(int(std::nearbyint(pair.cols * gain)), 1), std::max(int(std::nearbyint(pair.rows * gain)), 1)};
    const double x = (size.width - box.inner.width) / 2.0, y = (size.height - box.inner.height) / 2.0;
    box.left = int(std::nearbyint(x - 0.1));
    box.top = int(std::nearbyint(y - 0.1));
    cv::Mat inner = pair;
    if (pair.size() != box.inner) cv::resize(pair, inner, box.inner, 0, 0, cv::INTER_LINEAR);
    cv::copyMakeBorder(inner, box.pair, box.top, int(std::nearbyint(y + 0.1)), box.left, int(std::nearbyint(x + 0.1)),
                       cv::BORDER_CONSTANT, cv::Scalar::all(kGrey));
    std::vector<cv::Mat> before, planes;
    cv::split(pair, before);
    cv::split(box.pair, planes);
    if (std::none_of(before.begin(), before.begin() + 3, shows_anything))  // a dead camera is blank to the border
        for (int i = 0; i < 3; ++i) planes[i] = cv::Scalar(0);
    if (!shows_anything(before[3])) planes[3] = cv::Scalar(0);
    cv::merge(planes, box.pair);
    return box;
}

// Copies planes of the pair into a tensor (1, count, h, w), [0, 1].
ov::Tensor to_tensor(const cv::Mat& pair, int first, int count) {
    ov::Tensor tensor(ov::element::f32, {1, size_t(count), size_t(pair.rows), size_t(pair.cols)});
    for (int i = 0; i < count; ++i) {
        cv::Mat plane, target(pair.size(), CV_32F, tensor.data<float>() + i * pair.total());
        cv::extractChannel(pair, plane, first + i);
        plane.convertTo(target, CV_32F, 1 / 255.0);
    }
    return tensor;
}

void run(const std::string& file, const std::string& visible_file, const std::string& infrared_file, float conf) {
    ov::Core core;
    const auto model = core.read_model(file);
    const Metadata metadata = read_metadata(file, model);
    if (metadata.pair_input.find("registration") != std::string::npos)
        throw std::runtime_error("this model registers the cameras, which this example does not do");
    const cv::Mat visible = cv::imread(visible_file, cv::IMREAD_COLOR);
    const cv::Mat infrared = cv::imread(infrared_file, cv::IMREAD_ANYDEPTH);
    if (visible.empty()) throw std::runtime_error("'" + visible_file + "' cannot be read as an image");
    if (infrared.empty()) throw std::runtime_error("'" + infrared_file + "' cannot be read as an image");

    const ov::PartialShape shape = model->input(0).get_partial_shape();
    if (shape.is_dynamic()) throw std::runtime_error("export without dynamic=True for this example");
    const Letterbox box = letterbox(stack(visible, infrared), {int(shape[3].get_length()), int(shape[2].get_length())});

    auto compiled = core.compile_model(model, "CPU", ov::hint::inference_precision(ov::element::f32));
    auto request = compiled.create_infer_request();
    if (model->inputs().size() == 2) {
        request.set_tensor("visible", to_tensor(box.pair, 0, 3));
        request.set_tensor("infrared", to_tensor(box.pair, 3, 1));
    } else {
        request.set_input_tensor(to_tensor(box.pair, 0, 4));
    }
    request.infer();

    const ov::Tensor output = request.get_output_tensor(0);  // (1, 4 + classes, N): centre, size, scores
    const size_t classes = output.get_shape()[1] - 4, count = output.get_shape()[2];
    if (classes != metadata.names.size()) throw std::runtime_error("export without nms=True for this example");
    const float* values = output.data<float>();
    const auto value = [&](size_t row, size_t i) { return values[row * count + i]; };
    std::vector<cv::Rect2d> boxes, apart;  // apart: moved by class, so that only boxes of one class compete
    std::vector<float> scores;
    std::vector<int> labels;
    for (size_t i = 0; i < count; ++i) {
        size_t best = 0;
        for (size_t c = 1; c < classes; ++c)
            if (value(4 + c, i) > value(4 + best, i)) best = c;
        if (value(4 + best, i) <= conf) continue;
        const double w = value(2, i), h = value(3, i);
        boxes.emplace_back(value(0, i) - w / 2, value(1, i) - h / 2, w, h);
        apart.emplace_back(boxes.back() + cv::Point2d(7680.0 * double(best), 0));
        scores.push_back(value(4 + best, i));
        labels.push_back(int(best));
    }
    std::vector<int> kept;
    cv::dnn::NMSBoxes(apart, scores, conf, kIou, kept, 1.F, 0);
    if (kept.size() > kMaxDet) kept.resize(kMaxDet);

    const double sx = double(visible.cols) / box.inner.width, sy = double(visible.rows) / box.inner.height;
    for (const int i : kept) {
        const cv::Rect2d& b = boxes[size_t(i)];
        const auto x = [&](double v) { return std::clamp((v - box.left) * sx, 0.0, double(visible.cols)); };
        const auto y = [&](double v) { return std::clamp((v - box.top) * sy, 0.0, double(visible.rows)); };
        std::printf("%s %.3f %.1f %.1f %.1f %.1f\n", metadata.names.at(labels[size_t(i)]).c_str(), scores[size_t(i)],
                    x(b.x), y(b.y), x(b.x + b.width), y(b.y + b.height));
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 4 || argc > 5) {
        std::fprintf(stderr, "usage: detect MODEL VISIBLE INFRARED [CONF]\n");
        return 2;
    }
    try {
        run(argv[1], argv[2], argv[3], argc == 5 ? std::stof(argv[4]) : 0.25F);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "error: %s\n", error.what());
        return 2;
    }
    return 0;
}
