// Detects objects on a visible and an infrared image with a model of `metafusion export`, in C++.
//
//   detect MODEL VISIBLE INFRARED [CONF [MASKS]]
//
// MODEL is an ONNX file or the .xml of an OpenVINO export of the task detect, segment or obb, with one input or two,
// without NMS inside. Prints a line for each object as `python -m metafusion_yolo.runtime` does: name, score, then
// x1, y1, x2, y2, or the four corners of an oriented box, and for a mask the number of its pixels. MASKS is a PNG to
// write: each pixel is the number of the line whose mask holds it, 0 for none.
//
// VISIBLE and INFRARED may be videos, or addresses of cameras: pairs go by number, each after a line with it, from 0.

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
#include <opencv2/videoio.hpp>
#include <openvino/openvino.hpp>

namespace {

constexpr float kIou = 0.7F;    // largest overlap of two boxes of one class
constexpr int kMaxDet = 300;    // most detections of a pair
constexpr int kSampling = 8;    // step at which a camera is looked at to see whether it shows anything
constexpr double kGrey = 114;   // of the border around the image, as in training
constexpr double kApart = 7680;  // pixels by which boxes of two classes are moved apart, more than any image is wide

struct Letterbox {
    cv::Mat pair;        // (h, w, 4) uint8: R, G, B, IR
    cv::Size inner;      // of the image in it
    int left, top;       // where the image starts
};

// The metadata that metafusion wrote: the names and how the input was made.
struct Metadata {
    std::map<int, std::string> names;
    std::string pair_input, task;
};

// An object in pixels of the network's input.
struct Found {
    cv::Rect2d box;           // upright; of an oriented box centre, width and height as a rectangle before it is turned
    float score;
    int label;
    std::vector<float> rest;  // the angle, or how much of each prototype is in the mask
    cv::Mat mask;             // of the visible image, uint8, 1 inside
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
        metadata.task = model->get_rt_info<std::string>("framework", "task");
    } else {  // OpenVINO: metadata.yaml beside the .xml
        metadata.pair_input = read_text(std::filesystem::path(file).replace_filename("metadata.yaml"));
        const auto start = metadata.pair_input.find("\nnames:");
        if (start == std::string::npos) throw std::runtime_error("no metadata.yaml beside '" + file + "'");
        const std::regex end("\n[^ \n]"), task("\ntask: *(\\w+)");  // the next key
        std::smatch found;
        if (std::regex_search(metadata.pair_input, found, task)) metadata.task = found[1];
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

// Reads the places that are sure enough from an output (1, 4 + classes + extra, N): centre, size, scores, the rest.
std::vector<Found> read_output(const ov::Tensor& output, size_t classes, size_t extra, float conf) {
    if (output.get_shape()[1] != 4 + classes + extra)
        throw std::runtime_error("export a model of the task detect, segment or obb, without nms=True, for this example");
    const size_t count = output.get_shape()[2];
    const float* values = output.data<float>();
    const auto value = [&](size_t row, size_t i) { return values[row * count + i]; };
    std::vector<Found> all;
    for (size_t i = 0; i < count; ++i) {
        size_t best = 0;
        for (size_t c = 1; c < classes; ++c)
            if (value(4 + c, i) > value(4 + best, i)) best = c;
        if (value(4 + best, i) <= conf) continue;
        const double w = value(2, i), h = value(3, i);
        Found found{{value(0, i) - w / 2, value(1, i) - h / 2, w, h}, value(4 + best, i), int(best), {}, {}};
        for (size_t e = 0; e < extra; ++e) found.rest.push_back(value(4 + classes + e, i));
        all.push_back(std::move(found));
    }
    return all;
}

std::vector<Found> without_doubles(const std::vector<Found>& all) {
    std::vector<cv::Rect2d> apart;  // moved by class, so that only boxes of one class compete
    std::vector<float> scores;
    for (const Found& found : all) {
        apart.emplace_back(found.box + cv::Point2d(kApart * found.label, 0));
        scores.push_back(found.score);
    }
    std::vector<int> order;
    cv::dnn::NMSBoxes(apart, scores, 0.F, kIou, order, 1.F, 0);
    std::vector<Found> kept;
    for (const int i : order) kept.push_back(all[size_t(i)]);
    return kept;
}

// How alike the Gaussians of two oriented boxes are, [0, 1]: ProbIoU (J. M. Llerena et al., 2021), as in the runtime.
double likeness(const Found& one, const Found& other) {
    constexpr double tiny = 1e-7;
    double a[2], b[2], c[2], x[2], y[2];
    const Found* both[2] = {&one, &other};
    for (int i = 0; i < 2; ++i) {
        const cv::Rect2d& box = both[i]->box;
        const double wide = box.width * box.width / 12, high = box.height * box.height / 12;
        const double cos = std::cos(both[i]->rest[0]), sin = std::sin(both[i]->rest[0]);
        a[i] = wide * cos * cos + high * sin * sin, b[i] = wide * sin * sin + high * cos * cos;
        c[i] = (wide - high) * cos * sin;
        x[i] = box.x + box.width / 2 + kApart * both[i]->label, y[i] = box.y + box.height / 2;
    }
    const auto area = [&](int i) { return std::max(a[i] * b[i] - c[i] * c[i], 0.0); };
    const double sa = a[0] + a[1], sb = b[0] + b[1], sc = c[0] + c[1], dx = x[0] - x[1], dy = y[0] - y[1];
    const double joint = sa * sb - sc * sc;
    const double far = (sa * dy * dy + sb * dx * dx) / (joint + tiny) / 4 - sc * dx * dy / (joint + tiny) / 2;
    const double unlike = std::log(joint / (4 * std::sqrt(area(0) * area(1)) + tiny) + tiny) / 2;
    return 1 - std::sqrt(1 - std::exp(-std::clamp(far + unlike, tiny, 100.0)) + tiny);
}

std::vector<Found> without_turned_doubles(std::vector<Found> all) {
    std::stable_sort(all.begin(), all.end(), [](const Found& a, const Found& b) { return a.score > b.score; });
    std::vector<Found> kept;
    for (size_t i = 0; i < all.size(); ++i) {
        const auto better = [&](const Found& other) { return likeness(other, all[i]) > kIou; };
        if (std::none_of(all.begin(), all.begin() + std::ptrdiff_t(i), better)) kept.push_back(all[i]);
    }
    return kept;
}

std::vector<cv::Point2d> corners_of(const Found& found) {
    const double cos = std::cos(found.rest[0]), sin = std::sin(found.rest[0]);
    const cv::Point2d centre = (found.box.tl() + found.box.br()) / 2;
    const cv::Point2d along = cv::Point2d(cos, sin) * (found.box.width / 2);
    const cv::Point2d across = cv::Point2d(-sin, cos) * (found.box.height / 2);
    return {centre + along + across, centre + along - across, centre - along - across, centre - along + across};
}

// Adds the mask of each object, in the size of the visible image, and drops what has none.
void add_masks(std::vector<Found>& kept, const ov::Tensor& prototypes, const Letterbox& box, cv::Size size) {
    const ov::Shape shape = prototypes.get_shape();  // (1, E, h, w), at stride 4
    const cv::Size low{int(shape[3]), int(shape[2])}, high = low * 4;
    const cv::Rect inner{box.left, box.top, box.inner.width, box.inner.height};
    std::vector<Found> shown;
    for (Found& found : kept) {
        cv::Mat sum = cv::Mat::zeros(low, CV_32F), fine;
        for (size_t e = 0; e < shape[1]; ++e)
            sum += found.rest[e] * cv::Mat(low, CV_32F, const_cast<float*>(prototypes.data<float>()) + e * low.area());
        cv::resize(sum, fine, high);
        cv::Mat inside = cv::Mat::zeros(high, CV_8U);
        const int left = std::max(0, int(std::ceil(found.box.x))), top = std::max(0, int(std::ceil(found.box.y)));
        const int right = std::min(high.width, int(std::ceil(found.box.br().x)));
        const int bottom = std::min(high.height, int(std::ceil(found.box.br().y)));
        if (left < right && top < bottom) inside(cv::Rect(left, top, right - left, bottom - top)) = cv::Scalar(1);
        if (cv::countNonZero((fine > 0) & inside) == 0) continue;
        cv::Mat values, part;
        cv::resize(fine(inner), values, size);
        cv::resize(inside(inner), part, size, 0, 0, cv::INTER_NEAREST);
        found.mask = (values > 0) & part;
        shown.push_back(std::move(found));
    }
    kept = std::move(shown);
}

// A model with what it says of itself.
class Detector {
public:
    Detector(const std::string& file, float conf) : conf_(conf) {
        ov::Core core;
        const auto model = core.read_model(file);
        metadata_ = read_metadata(file, model);
        if (metadata_.pair_input.find("registration") != std::string::npos)
            throw std::runtime_error("this model registers the cameras, which this example does not do");
        const ov::PartialShape shape = model->input(0).get_partial_shape();
        if (shape.is_dynamic()) throw std::runtime_error("export without dynamic=True for this example");
        size_ = {int(shape[3].get_length()), int(shape[2].get_length())};
        two_ = model->inputs().size() == 2;
        request_ = core.compile_model(model, "CPU", ov::hint::inference_precision(ov::element::f32)).create_infer_request();
    }

    // Prints the objects of a pair; returns the number of the line that each pixel belongs to.
    cv::Mat operator()(const cv::Mat& visible, const cv::Mat& infrared) {
        const Letterbox box = letterbox(stack(visible, infrared), size_);
        if (two_) {
            request_.set_tensor("visible", to_tensor(box.pair, 0, 3));
            request_.set_tensor("infrared", to_tensor(box.pair, 3, 1));
        } else {
            request_.set_input_tensor(to_tensor(box.pair, 0, 4));
        }
        request_.infer();

        const bool oriented = metadata_.task == "obb", masked = metadata_.task == "segment";
        const ov::Tensor prototypes = masked ? request_.get_output_tensor(1) : ov::Tensor();
        const size_t extra = oriented ? 1 : masked ? prototypes.get_shape()[1] : 0;
        std::vector<Found> all = read_output(request_.get_output_tensor(0), metadata_.names.size(), extra, conf_);
        std::vector<Found> kept = oriented ? without_turned_doubles(std::move(all)) : without_doubles(all);
        if (kept.size() > kMaxDet) kept.resize(kMaxDet);
        if (masked) add_masks(kept, prototypes, box, visible.size());
        return print(kept, box, visible.size(), oriented, masked);
    }

private:
    cv::Mat print(const std::vector<Found>& kept, const Letterbox& box, cv::Size size, bool oriented, bool masked) const {
        const double sx = double(size.width) / box.inner.width, sy = double(size.height) / box.inner.height;
        cv::Mat numbers = cv::Mat::zeros(size, CV_8U);
        int line = 0;
        for (const Found& found : kept) {
            std::printf("%s %.3f", metadata_.names.at(found.label).c_str(), found.score);
            const cv::Rect2d& b = found.box;
            if (oriented) {
                for (const cv::Point2d& corner : corners_of(found))
                    std::printf(" %.1f %.1f", (corner.x - box.left) * sx, (corner.y - box.top) * sy);
            } else {
                const auto x = [&](double v) { return std::clamp((v - box.left) * sx, 0.0, double(size.width)); };
                const auto y = [&](double v) { return std::clamp((v - box.top) * sy, 0.0, double(size.height)); };
                std::printf(" %.1f %.1f %.1f %.1f", x(b.x), y(b.y), x(b.x + b.width), y(b.y + b.height));
            }
            if (masked) std::printf(" %d", cv::countNonZero(found.mask));
            std::printf("\n");
            if (masked && ++line < 256) numbers.setTo(line, found.mask);
        }
        return numbers;
    }

    float conf_;
    Metadata metadata_;
    cv::Size size_;
    bool two_ = false;
    ov::InferRequest request_;
};

// Detects on two videos or cameras until one of them ends.
void run_videos(Detector& detector, cv::VideoCapture& visible, const std::string& infrared_file) {
    cv::VideoCapture infrared(infrared_file);
    if (!infrared.isOpened()) throw std::runtime_error("'" + infrared_file + "' cannot be opened as a video");
    cv::Mat colour, heat;
    for (int number = 0; visible.read(colour) && infrared.read(heat); ++number) {
        cv::cvtColor(heat, heat, cv::COLOR_BGR2GRAY);
        std::printf("%06d\n", number);
        detector(colour, heat);
        std::fflush(stdout);
    }
}

void run(const std::string& file, const std::string& visible_file, const std::string& infrared_file, float conf,
         const std::string& masks_file) {
    Detector detector(file, conf);
    const cv::Mat visible = cv::imread(visible_file, cv::IMREAD_COLOR);
    if (visible.empty()) {
        cv::VideoCapture video(visible_file);
        if (!video.isOpened()) throw std::runtime_error("'" + visible_file + "' cannot be read as an image or a video");
        return run_videos(detector, video, infrared_file);
    }
    const cv::Mat infrared = cv::imread(infrared_file, cv::IMREAD_ANYDEPTH);
    if (infrared.empty()) throw std::runtime_error("'" + infrared_file + "' cannot be read as an image");
    const cv::Mat numbers = detector(visible, infrared);
    if (!masks_file.empty() && !cv::imwrite(masks_file, numbers))
        throw std::runtime_error("'" + masks_file + "' cannot be written");
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 4 || argc > 6) {
        std::fprintf(stderr, "usage: detect MODEL VISIBLE INFRARED [CONF [MASKS]]\n");
        return 2;
    }
    try {
        run(argv[1], argv[2], argv[3], argc > 4 ? std::stof(argv[4]) : 0.25F, argc > 5 ? argv[5] : "");
    } catch (const std::exception& error) {
        std::fprintf(stderr, "error: %s\n", error.what());
        return 2;
    }
    return 0;
}
